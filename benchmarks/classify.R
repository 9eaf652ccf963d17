# Sightings and person-time of a registry in data.table, as fast as it will go: the reference of benchmarks/classify.py.
#
# Rscript benchmarks/classify.R FOLDER OUT
#
# Written from docs/definitions.md (sections 1, 2, 4 and 7) and docs/readings.md, without judgement from imaging and
# with every setting at its default. A level is its place in the patient's own spine, from 0, and bit of an integer; a
# *cell* is one vertebra of one patient; a time is cell (or patient) and day in one number, so that every question "what
# held the day before" is a findInterval in sorted numbers. Nothing is expanded over days or over patients x levels.

suppressPackageStartupMessages(library(data.table))
setDTthreads(0)

FOLDER <- commandArgs(TRUE)[1L]
OUT <- commandArgs(TRUE)[2L]

HEALING <- 90L
STAGED_DAYS <- 14L
ONSET_CLEAR <- 30L
LEVELS <- c(paste0("C", 1:7), paste0("T", 1:13), paste0("L", 1:6), "S1")
KINDS <- c("new", "progression", "settling", "occult", "old")
NEW <- 1L; PROGRESSION <- 2L; SETTLING <- 3L; OCCULT <- 4L; OLD <- 5L; UNJUDGED <- 0L
INDICATIONS <- c("fracture", "prophylactic", "tumour")
ROLES <- c("treated", "treated_prophylactic", "treated_tumour", "adjacent", "remote")
ADJACENT <- 4L; REMOTE <- 5L
RELATIONS <- c("before_treatment", "same", "adjacent", "remote")
REASONS <- c("before_treatment", "repeat", "old", "settling", "staged", "not_after_entry", "after_exit",
             "outside_levels", "excluded_level")
FIRST_AT_RISK <- 10L # T4
BEFORE <- -1000000L # the day of before_index
FOREVER <- 1000000L
W <- 2^22 # days between one patient or cell and the next: above FOREVER - BEFORE
CELLS <- 32L
POWER <- as.integer(2^(0:30))

place_bit <- function(place) POWER[place + 1L]
holds <- function(mask, place) bitwAnd(mask, place_bit(place)) != 0L
BESIDE <- bitwOr(POWER[2:31], c(0L, POWER[1:29]))
beside <- function(place) BESIDE[place + 1L]
highest <- function(mask) as.integer(log2(pmax(mask, 1L)))
lowest <- function(mask) as.integer(log2(pmax(bitwAnd(mask, -mask), 1L)))
starts <- function(key) c(TRUE, key[-1L] != key[-length(key)])[seq_along(key)]

# Sorting integers is cheap and sorting texts is not: ids are compared only where all else is equal.
arrange <- function(table, keys, id = NULL) {
  setorderv(table, keys)
  if (is.null(id) || nrow(table) < 2L) return(invisible(table))
  run <- rleidv(table, keys)
  equal <- run[-1L] == run[-length(run)]
  tied <- which(c(FALSE, equal) | c(equal, FALSE))
  if (length(tied)) {
    sorted <- setorderv(table[tied], c(keys, id))
    for (column in names(table)) set(table, tied, column, sorted[[column]])
  }
  invisible(table)
}

now <- function() sum(proc.time()[1:2]) # processor seconds: others use the machine too
began_at <- now()
reading <- 0
read <- function(name, texts, others) {
  start <- now()
  table <- fread(file.path(FOLDER, paste0(name, ".csv")), select = c(texts, others), na.strings = "",
                 colClasses = list(character = texts))
  reading <<- reading + now() - start
  table
}

# Patients ------------------------------------------------------------------------------------------------------------

patients <- read("patients", "patient_id", c("n_thoracic", "n_lumbar", "enrolled_on", "follow_up_end", "death_date"))
setorder(patients, patient_id)
who <- patients$patient_id
n_patients <- length(who)
n_thoracic <- nafill(as.integer(patients$n_thoracic), fill = 12L)
n_lumbar <- nafill(as.integer(patients$n_lumbar), fill = 5L)
enrolled <- as.integer(patients$enrolled_on)
exit <- pmin(as.integer(patients$follow_up_end), as.integer(patients$death_date), na.rm = TRUE)
first_lumbar <- 7L + n_thoracic
sacrum <- first_lumbar + n_lumbar

place_of <- function(level, patient) {
  code <- chmatch(level, LEVELS)
  fifelse(code <= 20L, code - 1L, fifelse(code == 27L, sacrum[patient], first_lumbar[patient] + code - 21L))
}
code_of <- function(place, patient) {
  fifelse(place < first_lumbar[patient], place + 1L,
          fifelse(place == sacrum[patient], 27L, place - first_lumbar[patient] + 21L))
}
located <- function(table) {
  table[, patient := chmatch(patient_id, who)]
  table[, place := place_of(level, patient)]
  table[, cell := patient * CELLS + place]
  table[, c("patient_id", "level") := NULL]
}

# Treated vertebrae and sessions --------------------------------------------------------------------------------------

treated <- located(read("augmentations", c("augmentation_id", "patient_id", "level", "indication"), "date"))
treated[, day := nafill(as.integer(date), fill = BEFORE)]
treated[, indication := nafill(chmatch(indication, INDICATIONS), fill = 1L)]
treated[, date := NULL]
arrange(treated, c("cell", "day"), "augmentation_id")
treated <- treated[starts(cell) | starts(day)]
treated[, key := cell * W + day]
treated[, first := starts(cell)]
treated[, earlier := fifelse(first, NA_integer_, shift(day))]
treated[, later := fifelse(shift(first, -1L, TRUE), NA_integer_, shift(day, -1L))]

# A bit counts on the first day of its cell only, so that a running sum of bits is the running union of levels.
sessions <- treated[order(patient, day), .(patient, day, cell, place, first)]
sessions[, union := cumsum(fifelse(first, as.numeric(place_bit(place)), 0))]
n_sessions <- nrow(sessions)
session_end <- c(sessions$patient[-1L] != sessions$patient[-n_sessions] |
                   sessions$day[-1L] != sessions$day[-n_sessions], TRUE)
spinal <- sessions[place < sacrum[patient]]
has_before_index <- logical(n_patients)
has_before_index[spinal$patient[spinal$day == BEFORE]] <- TRUE
spinal <- spinal[day > BEFORE][starts(patient)]
first_dated <- rep(NA_integer_, n_patients)
first_dated[spinal$patient] <- spinal$day
sessions <- sessions[session_end]
before_patient <- nafill(fifelse(starts(sessions$patient), shift(sessions$union, fill = 0), NA_real_), "locf")
sessions[, mask := as.integer(union - before_patient)]
sessions[, key := patient * W + day]
sessions[, until := fifelse(shift(patient, -1L, 0L) == patient, shift(day, -1L), FOREVER)]
sessions[, c("union", "cell", "place", "first") := NULL]

# The last session of the patient, or treatment of the cell, on or before a day; 0 where there is none.
session_by <- function(patient, day) {
  found <- findInterval(patient * W + day, sessions$key)
  found * (c(0L, sessions$patient)[found + 1L] == patient)
}
treatment_by <- function(cell, day) {
  found <- findInterval(cell * W + day, treated$key)
  found * (c(0L, treated$cell)[found + 1L] == cell)
}

entry <- fifelse(has_before_index, fcoalesce(enrolled, first_dated),
                 fifelse(is.na(first_dated), NA_integer_, pmax(first_dated, enrolled, na.rm = TRUE)))

# Staged treatment and implied fractures ------------------------------------------------------------------------------

found <- located(read("fractures", c("fracture_id", "patient_id", "level", "kind"), c("date", "last_clear_date")))
found[, `:=`(day = as.integer(date), clear = as.integer(last_clear_date),
             kind = nafill(chmatch(kind, KINDS), fill = UNJUDGED))]
found[, c("date", "last_clear_date") := NULL]
setorder(found, cell, day)
found_key <- found$cell * W + found$day

treated[, staged_from := NA_integer_]
for_fracture <- which(treated$indication == 1L & treated$day > BEFORE)
candidate <- treated[for_fracture]
opening <- findInterval(candidate$patient * W + candidate$day - STAGED_DAYS - 1, sessions$key) + 1L
opening <- sessions$day[opening]
began <- fifelse(candidate$first, opening, candidate$earlier)
staged <- which(began >= candidate$day - STAGED_DAYS & began < candidate$day)
began <- began[staged]
row <- for_fracture[staged]
low <- findInterval(treated$cell[row] * W + began, found_key)
n_found <- findInterval(treated$key[row], found_key) - low
window <- rep(seq_along(row), n_found)
seen <- sequence(n_found, low + 1L)
again <- !treated$first[row][window]
kind <- found$kind[seen]
exempt <- (fcoalesce(found$clear[seen], BEFORE) >= began[window] | kind == NEW |
             again & (kind == PROGRESSION | kind == OCCULT)) & !(again & kind == SETTLING)
kept_staged <- rep(TRUE, length(row))
kept_staged[window[exempt]] <- FALSE
set(treated, row[kept_staged], "staged_from", began[kept_staged])

row <- for_fracture[is.na(treated$staged_from[for_fracture])]
last_session <- session_by(treated$patient[row], treated$day[row] - 1L)
previous <- c(NA_integer_, sessions$day)[last_session + 1L]
undated <- which(previous == BEFORE)
since <- enrolled[treated$patient[row[undated]]]
previous[undated] <- fifelse(since < treated$day[row[undated]], since, NA_integer_)
row <- row[!is.na(previous)]
previous <- previous[!is.na(previous)]
row <- row[findInterval(treated$key[row], found_key) == findInterval(treated$cell[row] * W + previous, found_key)]
implied <- treated[row, .(fracture_id = paste0("implied:", augmentation_id), kind = UNJUDGED, patient, place, cell, day,
                          clear = NA_integer_)]

# Sightings: one run of rows is a cell between two of its treatments --------------------------------------------------

found[, implied := FALSE]
implied[, implied := TRUE]
s <- rbindlist(list(found, implied), use.names = TRUE)
rm(found, implied, found_key)
s[, upto := findInterval(cell * W + day - 1, treated$key)]
s[, same := c(0L, treated$cell)[upto + 1L] == cell]
s[!same & kind %between% c(PROGRESSION, OCCULT), kind := UNJUDGED]
s[, rank := fifelse(kind == UNJUDGED, 1L, fifelse(kind == OLD, 2L, 0L))]
arrange(s, c("cell", "day", "implied", "rank"), "fracture_id")
s[, rank := NULL]

n <- nrow(s)
at <- seq_len(n)
begins <- starts(s$cell) | starts(s$upto)
run <- cumsum(begins)
settled <- s$same & s$kind == SETTLING
old <- s$kind == OLD
first_in_run <- function(rows) {
  result <- rep(NA_integer_, run[n])
  rows <- rows[starts(run[rows])]
  result[run[rows]] <- rows
  result
}
news <- which(s$kind == NEW)
first_old <- first_in_run(which(old & !s$same))
current <- first_in_run(which(!old & !settled))
current <- fifelse(!is.na(first_old) & (is.na(current) | first_old < current), first_in_run(news), current)
current <- current[!is.na(current)]
new_key <- run[news] * W + s$day[news]
kept <- logical(n)
while (length(current)) {
  kept[current] <- TRUE
  following <- news[findInterval(run[current] * W + s$day[current] + HEALING, new_key) + 1L]
  current <- following[which(run[following] == run[current])]
}
last_kept <- cummax(at * kept)
first_old <- first_old[run]
repeat_of <- fifelse(last_kept >= which(begins)[run], last_kept,
                     fifelse(!is.na(first_old) & first_old < at, first_old, NA_integer_))
repeat_of[kept | settled] <- NA_integer_

# Relation ------------------------------------------------------------------------------------------------------------

relation_of <- function(mask, place) {
  fifelse(mask == 0L, 1L, fifelse(holds(mask, place), 2L, fifelse(bitwAnd(mask, beside(place)) != 0L, 3L, 4L)))
}
mask_by <- function(patient, day) c(0L, sessions$mask)[session_by(patient, day) + 1L]

mask <- mask_by(s$patient, s$day - 1L)
relation <- relation_of(mask, s$place)
distance <- rep(NA_integer_, n)
side <- rep(NA_integer_, n)
sandwiched <- rep(NA_integer_, n)
attributed <- fifelse(s$same, s$upto, NA_integer_)
distance[s$same] <- 0L
sandwiched[relation > 1L] <- 1L

row <- which(relation > 2L)
place <- s$place[row]
above <- bitwAnd(mask[row], place_bit(place) - 1L)
below <- bitwShiftR(mask[row], place + 1L)
up <- fifelse(above > 0L, place - highest(above), 99L)
down <- fifelse(below > 0L, lowest(below) + 1L, 99L)
distance[row] <- pmin(up, down)
side[row] <- fifelse(up > down, 1L, fifelse(up < down, 2L, 3L))
sandwiched[row[up == 1L & down == 1L]] <- 2L
from_above <- findInterval((s$cell[row] - up) * W + s$day[row] - 1, treated$key)
from_below <- findInterval((s$cell[row] + down) * W + s$day[row] - 1, treated$key)
take_above <- up < down | up == down & c(0L, treated$day)[from_above + 1L] > c(0L, treated$day)[from_below + 1L]
attributed[row] <- fifelse(take_above, from_above, from_below)

since <- s$day - treated$day[attributed]
since[since > -BEFORE / 2L] <- NA_integer_
role <- fifelse(s$same, treated$indication[attributed], relation + 1L)
earliest <- rep(NA_integer_, n)
row <- which(!is.na(s$clear))
earliest[row] <- relation_of(mask_by(s$patient[row], s$clear[row]), s$place[row])

# What is counted -----------------------------------------------------------------------------------------------------

excluded <- data.table(patient = integer(), cell = integer(), place = integer(), start = integer(), stop = integer())
if (file.exists(file.path(FOLDER, "excluded_levels.csv"))) {
  excluded <- located(read("excluded_levels", c("patient_id", "level"), c("from", "to")))
  excluded[, `:=`(start = nafill(as.integer(from), fill = BEFORE), stop = nafill(as.integer(to), fill = FOREVER))]
  excluded[, c("from", "to") := NULL]
  setorder(excluded, cell)
}

# The next treatment of the cell, on or after the day.
next_row <- s$upto + 1L
next_row[next_row > nrow(treated) | treated$cell[next_row] != s$cell] <- NA_integer_
in_stage <- kept & fcoalesce(treated$staged_from[next_row] < s$day, FALSE)

row <- which(s$cell %in% excluded$cell)
low <- findInterval(s$cell[row] - 1L, excluded$cell)
n_excluded <- findInterval(s$cell[row], excluded$cell) - low
one <- rep(row, n_excluded)
by <- sequence(n_excluded, low + 1L)
one <- one[excluded$start[by] < s$day[one] & s$day[one] <= excluded$stop[by]]

starts_at <- entry[s$patient]
reason <- integer(n)
reason[one] <- 9L
reason[s$place < FIRST_AT_RISK | s$place >= sacrum[s$patient]] <- 8L
reason[s$day > exit[s$patient]] <- 7L
reason[is.na(starts_at) | s$day <= starts_at] <- 6L
reason[in_stage] <- 5L
reason[settled] <- 4L
reason[old & is.na(repeat_of)] <- 3L
reason[!is.na(repeat_of)] <- 2L
reason[relation == 1L] <- 1L
counted <- reason == 0L

treated_on <- treated$day[attributed]
needed <- fifelse(s$same & treated_on > BEFORE, treated_on, starts_at - ONSET_CLEAR)
unproven <- counted & s$kind == UNJUDGED & !s$implied & (is.na(s$clear) | s$clear < needed)

# Person-time: days up to a day, by year, are known from the day alone, so only the two ends of a stretch are added ----

calendar <- as.IDate(min(c(entry, exit), na.rm = TRUE):max(c(entry, exit), na.rm = TRUE))
origin <- as.integer(calendar[1L]) - 1L
years <- year(calendar)
first_year <- years[1L]
n_years <- years[length(years)] - first_year + 1L
year_of <- years - first_year + 1L
day_of <- yday(calendar)
days_in <- as.integer(as.IDate(sprintf("%d-12-31", first_year + seq_len(n_years) - 1L)) -
                        as.IDate(sprintf("%d-01-01", first_year + seq_len(n_years) - 1L))) + 1L

# Days of (start, stop] by group (1 to `groups`) and year.
by_year <- function(group, start, stop, groups) {
  on <- c(stop, start) - origin
  ends <- data.table(slot = rep(group, 2L) + groups * (year_of[on] - 1L), day = day_of[on],
                     sign = rep(c(1L, -1L), each = length(group)))
  ends[, day := day * sign]
  ends <- ends[, .(sign = sum(sign), day = sum(as.numeric(day))), by = slot]
  count <- matrix(0, groups, n_years)
  days <- matrix(0, groups, n_years)
  count[ends$slot] <- ends$sign
  days[ends$slot] <- ends$day
  # An end in a later year has all of this year before it.
  after <- count * 0
  for (k in rev(seq_len(n_years - 1L))) after[, k] <- after[, k + 1L] + count[, k + 1L]
  days + after * rep(days_in, each = groups)
}
slot_of <- function(place, patient, role) (role - 1L) * 27L + code_of(place, patient)
N_SLOTS <- 27L * 5L
empty <- function() matrix(0, N_SLOTS, n_years)

# Every vertebra in the range has the whole follow-up of its patient, so the shape of the spine is enough.
here <- which(!is.na(entry) & exit > entry)
shape <- (n_thoracic - 11L) * 3L + n_lumbar - 3L # 1 to 9
whole <- by_year(shape[here], entry[here], exit[here], 9L)
spread <- function(masks, shapes, days, role) {
  result <- empty()
  example <- match(1:9, shape) # a patient of each shape
  for (one in unique(shapes)) {
    who_has <- which(shapes == one)
    for (place in FIRST_AT_RISK:(sacrum[example[one]] - 1L)) {
      slot <- slot_of(place, example[one], role)
      held <- who_has[holds(masks[who_has], place)]
      result[slot, ] <- result[slot, ] + colSums(days[held, , drop = FALSE])
    }
  }
  result
}
shapes <- sort(unique(shape[here]))
person_days <- spread(rep(POWER[28L] - 1L, length(shapes)), shapes, whole[shapes, , drop = FALSE], REMOTE)

add <- function(place, patient, role, start, stop) by_year(slot_of(place, patient, role), start, stop, N_SLOTS)
from_remote <- function(days, role) {
  moved <- empty()
  from <- (role - 1L) * 27L + 1:27
  moved[from, ] <- days[from, ]
  moved[(REMOTE - 1L) * 27L + 1:27, ] <- -days[from, ]
  moved
}

stretch <- sessions[, .(patient, mask, start = pmax(day, entry[patient]), stop = pmin(until, exit[patient]))]
stretch <- stretch[start < stop]
stretch[, near := bitwAnd(bitwOr(bitwShiftL(mask, 1L), bitwShiftR(mask, 1L)), bitwNot(mask))]
stretch[, group := .GRP, by = .(near, shape = shape[patient])]
groups <- stretch[!duplicated(group), .(near, shape = shape[patient])]
near_days <- with(stretch, by_year(group, start, stop, nrow(groups)))
person_days <- person_days + from_remote(spread(groups$near, groups$shape, near_days, ADJACENT), ADJACENT)

stretch <- treated[place >= FIRST_AT_RISK & place < sacrum[patient]]
stretch[, `:=`(start = pmax(day, entry[patient]), stop = pmin(fcoalesce(later, FOREVER), exit[patient]))]
stretch <- stretch[start < stop]
treated_days <- with(stretch, add(place, patient, indication, start, stop))
for (k in 1:3) person_days <- person_days + from_remote(treated_days, k)

# Off risk: stretches of one cell may overlap; each is cut to begin where those before it have ended.
row <- which(kept)
off <- rbindlist(list(
  data.table(patient = s$patient[row], cell = s$cell[row], place = s$place[row], start = s$day[row],
             stop = pmin(s$day[row] + HEALING, treated$day[next_row[row]], na.rm = TRUE)),
  treated[!is.na(staged_from), .(patient, cell, place, start = staged_from, stop = day)],
  excluded[, .(patient, cell, place, start, stop)]
))
off <- off[place >= FIRST_AT_RISK & place < sacrum[patient]]
off[, `:=`(start = pmax(start, entry[patient]), stop = pmin(stop, exit[patient]))]
off <- off[start < stop]
setorder(off, cell, start)
reach <- cummax(off$cell * W + off$stop)
off[, start := pmax(start, as.integer(pmax(shift(reach, fill = 0) - cell * W, -FOREVER)))]
off <- off[start < stop]

# A stretch is cut again where the patient's levels, and so the role, may change.
from <- session_by(off$patient, off$start)
n_cuts <- session_by(off$patient, off$stop - 1L) - from + 1L
during <- sequence(n_cuts, from)
off <- off[rep(seq_len(.N), n_cuts)]
off[, `:=`(start = pmax(start, sessions$day[during]), stop = pmin(stop, sessions$until[during]),
           mask = sessions$mask[during])]
off[, role := fifelse(holds(mask, place), c(NA_integer_, treated$indication)[treatment_by(cell, start) + 1L],
                      fifelse(bitwAnd(mask, beside(place)) != 0L, ADJACENT, REMOTE))]
person_days <- person_days - with(off, add(place, patient, role, start, stop))

row <- which(counted)
slots <- slot_of(s$place[row], s$patient[row], role[row]) + N_SLOTS * (year_of[s$day[row] - origin] - 1L)
events <- matrix(tabulate(slots, N_SLOTS * n_years), N_SLOTS)
some <- data.table(slot = rep(seq_len(N_SLOTS), n_years),
                   year = rep(first_year + seq_len(n_years) - 1L, each = N_SLOTS),
                   vertebra_days = as.vector(person_days), events = as.vector(events))
some <- some[vertebra_days != 0 | events != 0L]
some[, `:=`(code = (slot - 1L) %% 27L + 1L, role = (slot - 1L) %/% 27L + 1L)]
setorder(some, code, role, year)

s[, `:=`(repeat_of = fracture_id[repeat_of], relation = relation, distance = distance, side = side, role = role,
         sandwiched = sandwiched, attributed = attributed, since = since, earliest = earliest, reason = reason,
         unproven = unproven)]
arrange(s, c("patient", "day", "place"), "fracture_id")

# Written -------------------------------------------------------------------------------------------------------------

computed_at <- now()
YES_NO <- c("no", "yes")
fwrite(s[, .(fracture_id, patient_id = who[patient], date = as.IDate(day), level = LEVELS[code_of(place, patient)],
             implied = YES_NO[implied + 1L], repeat_of, relation = RELATIONS[relation], distance,
             side = c("cranial", "caudal", "both")[side], sandwiched = YES_NO[sandwiched],
             augmentation_id = treated$augmentation_id[attributed],
             treated_for = INDICATIONS[fifelse(same, role, NA_integer_)], days_since = since,
             relation_earliest = RELATIONS[earliest], counted = YES_NO[(reason == 0L) + 1L],
             not_counted_because = c(NA_character_, REASONS)[reason + 1L], onset_unproven = YES_NO[unproven + 1L])],
       file.path(OUT, "sightings.csv"))
fwrite(some[, .(level = LEVELS[code], role = ROLES[role], year, vertebra_days = as.integer(vertebra_days), events)],
       file.path(OUT, "persontime.csv"))
cat(sprintf('{"read": %.3f, "compute": %.3f, "write": %.3f}\n', reading, computed_at - began_at - reading,
            now() - computed_at))
