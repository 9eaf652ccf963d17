# Landmark models and lagged exposure: coxph on wide data (jasa), on split rows (survSplit), on rows of one day, and tmerge.
# Run after recurrent.R, which writes data/recurrent_vertebrae.csv, and reference.R, which writes data/heart.csv.
suppressMessages({library(survival); library(jsonlite)})
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 50)
cx <- function(f) list(
  coef = as.list(coef(f)), se = as.list(setNames(sqrt(diag(f$var)), names(coef(f)))),
  se_naive = as.list(setNames(sqrt(diag(if (is.null(f$naive.var)) f$var else f$naive.var)), names(coef(f)))),
  loglik = f$loglik, n = f$n, nevent = f$nevent)
out <- list()

# Stanford, from one row per patient: no counting-process rows are involved. heart counts its days from 1, jasa from 0.
wide <- data.frame(id = seq_len(nrow(jasa)), age = jasa$age - 48, surgery = jasa$surgery, end = jasa$futime + 1,
                   dead = jasa$fustat, transplanted = jasa$wait.time + 1)
wide$end[38] <- max(heart$stop[heart$id == 38])
at_day <- function(s, h) {
  d <- wide[wide$end > s, ]
  d$transplant <- as.integer(!is.na(d$transplanted) & d$transplanted < s)
  d$time <- pmin(d$end, s + h)
  d$dead <- as.integer(d$dead == 1 & d$end <= s + h)
  d$from <- d$landmark <- s
  d
}
for (h in c(Inf, 200)) {
  name <- paste0("stanford_", if (is.finite(h)) h else "whole")
  sets <- lapply(c(30, 60, 90), at_day, h = h)
  out[[name]] <- lapply(sets, function(d)
    cx(coxph(Surv(time - from, dead) ~ transplant + age + surgery, d, control = tight)))
  names(out[[name]]) <- c(30, 60, 90)
  out[[name]]$exposed <- sapply(sets, function(d) sum(d$transplant))
  stack <- do.call(rbind, sets)
  out[[name]]$stacked <- cx(coxph(Surv(from, time, dead) ~ transplant + age + surgery + strata(landmark), stack,
                                  cluster = id, control = tight))
}

# Vertebrae in patients, with gaps, late entry, events that come back, weights, and a drug that begins.
vertebrae <- read.csv("data/recurrent_vertebrae.csv")
vertebrae <- vertebrae[order(vertebrae$vertebra, vertebrae$entry), ]
landmark_rows <- function(s, h) {
  covering <- vertebrae[vertebrae$entry < s & vertebrae$exit >= s, ]
  next_day <- unique(vertebrae$vertebra[vertebrae$entry <= s & vertebrae$exit > s])
  covering <- covering[covering$vertebra %in% next_day, ]
  parts <- survSplit(Surv(entry, exit, event) ~ ., vertebrae, cut = c(s, s + h), episode = "part")
  parts <- parts[parts$part == 2 & parts$vertebra %in% covering$vertebra, ]
  now <- covering[match(parts$vertebra, covering$vertebra), ]
  parts[c("leak", "drug", "age", "site")] <- now[c("leak", "drug", "age", "site")]
  parts$from <- s
  parts
}
sets <- lapply(c(60, 120, 180), landmark_rows, h = 90)
stack <- do.call(rbind, sets)
for (ties in c("efron", "breslow")) {
  f <- Surv(entry, exit, event) ~ drug + leak + age
  fits <- lapply(sets, function(d) cx(coxph(f, d, cluster = patient, ties = ties, control = tight)))
  names(fits) <- c(60, 120, 180)
  fits$stacked <- cx(coxph(update(f, ~ . + strata(from)), stack, cluster = patient, ties = ties, control = tight))
  fits$weighted <- cx(coxph(update(f, ~ . + strata(from, site)), stack, weights = w, cluster = patient, ties = ties,
                            control = tight))
  out[[paste0("vertebrae_", ties)]] <- fits
}
out$vertebrae_counts <- list(
  units = sapply(sets, function(d) length(unique(d$vertebra))),
  exposed = sapply(sets, function(d) length(unique(d$vertebra[d$drug == 1]))),
  distinct_events = nrow(unique(stack[stack$event == 1, c("vertebra", "exit")])))

# Lagged exposure. `on` goes on and off; every day of every vertebra is asked on its own whether exposure counts.
vertebrae$nth <- ave(vertebrae$exit, vertebrae$vertebra, FUN = seq_along)
vertebrae$on <- as.integer((vertebrae$vertebra + vertebrae$nth) %% 3 != 0)
windows <- function(z, lag, action) {
  days <- (min(z$entry) + 1):max(z$exit)
  raw <- sapply(days, function(d) z$on[max(which(z$entry < d))])      # in a gap, as it last was
  start <- days[raw == 1 & c(0, raw[-length(raw)]) == 0] - 1
  stop <- ifelse(raw == 1 & c(raw[-1], 1) == 0, days, NA)
  stop <- c(stop[!is.na(stop)], if (raw[length(raw)] == 1) Inf)
  data.frame(from = start + lag, to = stop + if (is.null(action)) lag else action)
}
day_rows <- function(z, lag, action) {
  window <- windows(z, lag, action)
  d <- do.call(rbind, lapply(seq_len(nrow(z)), function(i) {
    day <- (z$entry[i] + 1):z$exit[i]
    data.frame(z[rep(i, length(day)), c("vertebra", "patient", "leak", "age")], day = day,
               event = as.integer(day == z$exit[i] & z$event[i] == 1))
  }))
  d$on <- as.integer(sapply(d$day, function(t) any(window$from < t & t <= window$to)))
  d
}
each <- split(vertebrae, vertebrae$vertebra)
lags <- list(moved = list(30, NULL), acting = list(30, 60), none = list(45, 0), at_once = list(0, 20))
for (name in names(lags)) {
  d <- do.call(rbind, lapply(each, day_rows, lag = lags[[name]][[1]], action = lags[[name]][[2]]))
  fit <- coxph(Surv(day - 1, day, event) ~ on + leak + age, d, cluster = patient, control = tight)
  out[[paste0("lag_", name)]] <- list(fit = cx(fit), exposed_days = as.list(tapply(d$on, d$vertebra, sum)),
                                      exposed_events = sum(d$on * d$event))
}
# The same by tmerge, which joins rows to one history per vertebra and so needs vertebrae without a gap.
whole <- Filter(function(z) all(z$entry[-1] == z$exit[-nrow(z)]), each)
rows <- do.call(rbind, whole)
ends <- do.call(rbind, lapply(whole, function(z) data.frame(vertebra = z$vertebra[1], leak = z$leak[1], age = z$age[1],
                                                            patient = z$patient[1], from = min(z$entry), to = max(z$exit))))
for (name in names(lags)) {
  switches <- do.call(rbind, lapply(whole, function(z) {
    w <- windows(z, lags[[name]][[1]], lags[[name]][[2]])
    w <- w[w$to > w$from, ]
    if (!nrow(w)) return(NULL)
    days <- sort(unique(c(w$from, w$to[is.finite(w$to)])))
    value <- sapply(days, function(t) as.integer(any(w$from <= t & t < w$to)))
    data.frame(vertebra = z$vertebra[1], day = days, value = value)
  }))
  m <- tmerge(ends[c("vertebra", "patient", "leak", "age")], ends, id = vertebra, tstart = from, tstop = to)
  m <- tmerge(m, rows, id = vertebra, broke = event(exit, event))
  m <- tmerge(m, switches, id = vertebra, on = tdc(day, value, 0))
  fit <- coxph(Surv(tstart, tstop, broke) ~ on + leak + age, m, cluster = patient, control = tight)
  out[[paste0("tmerge_", name)]] <- list(fit = cx(fit), exposed_days = sum((m$tstop - m$tstart) * m$on))
}
out$without_gap <- as.integer(names(whole))
made <- list(made_by = "landmark.R", inputs = c("data/recurrent_vertebrae.csv", "survival::jasa"),
             R = as.character(getRversion()), packages = list(survival = as.character(packageVersion("survival"))),
             outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "landmark.json")
