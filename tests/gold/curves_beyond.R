# Cumulative hazard, time lost, mean cumulative count, and contrasts between groups that share patients.
# Run in this folder: Rscript curves_beyond.R   (reads data/lung, bladder2, melanoma, clustered; writes
# data/recurrent.csv and curves_beyond.json)
#
# Three kinds of reference: survfit's own answers; the derivative of a plain weighted estimator by the weight of each
# patient, taken numerically (central differences), squared and summed, which is the infinitesimal jackknife by its
# definition; and the jackknife that leaves out one patient at a time, which is near it and no more.
suppressMessages({library(survival); library(mets); library(jsonlite)})
set.seed(20240331)

## Recurrent fractures of one or two units per patient: death of the patient, late entry, gaps, whole days with ties.
n_patients <- 70
made <- list()
for (p in seq_len(n_patients)) {
  frailty <- rgamma(1, 2, 2)
  death <- ceiling(rexp(1, 1 / 220)); lost <- sample(60:240, 1)
  for (u in seq_len(1 + p %% 2)) {
    leak <- rbinom(1, 1, 0.5)
    at <- if (p %% 5 == 0) sample(1:30, 1) else 0
    end <- max(min(death, lost), at + 1)
    while (at < end) {
      fracture <- at + ceiling(rexp(1, frailty * exp(0.5 * leak) / 110))
      stop <- min(fracture, end)
      cause <- if (fracture < end) 1 else if (death <= lost) 2 else 0
      made[[length(made) + 1]] <- data.frame(unit = p * 10 + u, patient = p, entry = at, exit = stop, cause, leak)
      # after a fracture one unit in four is out of sight for three weeks
      at <- stop + if (cause == 1 && rbinom(1, 1, 0.25) == 1) 21 else 0
    }
  }
}
r <- do.call(rbind, made)
r$w <- round(0.5 + (r$patient %% 7) / 4, 2)
write.csv(r, "data/recurrent.csv", row.names = FALSE)

## Plain estimators, all with a weight per row.
mean_count <- function(d, w, at, terminal = 2) {
  days <- sort(unique(d$exit[d$cause %in% c(1, terminal)]))
  risk <- sapply(days, function(t) sum(w[d$entry < t & t <= d$exit]))
  had <- sapply(days, function(t) sum(w[d$exit == t & d$cause == 1]))
  died <- sapply(days, function(t) sum(w[d$exit == t & d$cause %in% terminal]))
  alive <- cumprod(1 - died / risk)
  mu <- cumsum(c(1, alive[-length(alive)]) * had / risk)
  sapply(at, function(t) c(0, mu)[1 + sum(days <= t)])
}
by_weight <- function(f, patient, w = rep(1, length(patient)), eps = 1e-4) {
  moved <- sapply(unique(patient), function(p) (f(w * (1 + eps * (patient == p))) - f(w * (1 - eps * (patient == p)))) / (2 * eps))
  sqrt(rowSums(rbind(moved)^2))
}
left_out <- function(f, patient, w = rep(1, length(patient))) {
  full <- f(w); n <- length(unique(patient))
  moved <- sapply(unique(patient), function(p) f(w * (patient != p)) - full)
  sqrt((n - 1) / n * rowSums(rbind(moved)^2))
}
all_three <- function(f, patient, w = rep(1, length(patient))) {
  list(estimate = f(w), se = by_weight(f, patient, w), jackknife = left_out(f, patient, w))
}

## 1. Cumulative hazard.
lung <- read.csv("data/lung.csv"); bladder <- read.csv("data/bladder2.csv"); d <- read.csv("data/clustered.csv")
chaz <- function(s, at) { x <- summary(s, times = at, extend = TRUE); list(time = x$time, cumhaz = x$cumhaz, se_cumhaz = x$std.chaz) }
lung_at <- c(50, 100, 200, 365, 500, 800); cl_at <- c(5, 20, 40, 90, 130)
expanded <- lung[rep(seq_len(nrow(lung)), lung$fw), ]
lung_f <- Surv(time, event) ~ 1; cl_f <- Surv(entry, exit, cause == 1) ~ 1
hazard <- list(
  lung = chaz(survfit(lung_f, lung), lung_at), lung_sex = chaz(survfit(Surv(time, event) ~ sex, lung), lung_at),
  lung_efron = chaz(survfit(lung_f, lung, ctype = 2), lung_at),
  lung_inst = chaz(survfit(lung_f, lung, cluster = inst), lung_at),
  lung_inst_efron = chaz(survfit(lung_f, lung, cluster = inst, ctype = 2), lung_at),
  lung_w = chaz(survfit(lung_f, lung, weights = w, robust = TRUE), lung_at),
  lung_w_efron = chaz(survfit(lung_f, lung, weights = w, robust = TRUE, ctype = 2), lung_at),
  lung_fw = chaz(survfit(lung_f, expanded), lung_at), lung_fw_efron = chaz(survfit(lung_f, expanded, ctype = 2), lung_at),
  clustered_entry = chaz(survfit(cl_f, d), cl_at),
  clustered = chaz(survfit(cl_f, d, cluster = patient), cl_at),
  clustered_efron = chaz(survfit(cl_f, d, cluster = patient, ctype = 2), cl_at),
  clustered_weight = chaz(survfit(cl_f, d, cluster = patient, weights = w), cl_at),
  bladder = chaz(survfit(Surv(start, stop, event) ~ 1, bladder, cluster = id, subset = stop > start), c(5, 10, 20, 30, 50)))

## 2. Time lost.
# survfit's rmean of a single event ignores `cluster` (checked), so by patient it is worked from influence values.
alone <- survfit(Surv(entry, exit, cause > 0) ~ 1, d); by_patient <- survfit(Surv(entry, exit, cause > 0) ~ 1, d, cluster = patient)
stopifnot(all.equal(summary(alone, rmean = 90)$table["se(rmean)"], summary(by_patient, rmean = 90)$table["se(rmean)"]))
d$state <- factor(d$cause, 0:2, c("none", "refracture", "death"))
melanoma <- read.csv("data/melanoma.csv"); melanoma$state <- factor(melanoma$status, 0:2)
rmean <- function(s, horizon) { x <- summary(s, rmean = horizon)$table; list(estimate = unname(x[, "rmean"]), se = if ("se(rmean)" %in% colnames(x)) unname(x[, "se(rmean)"])) }
area <- function(s, z, horizon) {  # influence of the area, summed over a patient's vertebrae
  width <- diff(c(0, pmin(s$time, horizon), horizon))
  u <- s$influence.pstate  # unit, time (0 first), state
  prior <- z$w1[match(unique(z$unit), z$unit)]
  own <- apply(u, c(1, 3), function(v) sum(v * width)) * prior
  patient <- z$patient[match(unique(z$unit), z$unit)]
  list(unit = sqrt(colSums(own^2)), patient = sqrt(colSums(rowsum(own, patient)^2)))
}
d$w1 <- 1
whole <- survfit(Surv(entry, exit, state) ~ 1, d, id = unit, influence = TRUE)
stopifnot(max(abs(area(whole, d, 90)$unit - rmean(whole, 90)$se)) < 1e-10)
weighted <- survfit(Surv(entry, exit, state) ~ 1, d, id = unit, weights = w, influence = TRUE)
d$w1 <- d$w
weighted_se <- area(weighted, d, 90)
# With weights, survfit 3.5-3 squares influences per unit of weight in se(rmean), though not in std.err of the curve:
# the derivative by the weights says that its own influences times the weights are right.
free_days <- function(now) {
  z <- d; z$now <- now  # weights are looked up in the data first
  rmean(survfit(Surv(entry, exit, state) ~ 1, z, id = unit, weights = now), 90)$estimate
}
stopifnot(abs(by_weight(free_days, d$patient, d$w) / weighted_se$patient - 1) < 1e-6)
stopifnot(abs(by_weight(free_days, d$unit, d$w) / weighted_se$unit - 1) < 1e-6)
d$w1 <- 1
lung_rmst <- summary(survfit(Surv(time, event) ~ sex, lung), rmean = 365)$table
lost <- list(
  lung365 = list(estimate = unname(lung_rmst[, "rmean"]), se = unname(lung_rmst[, "se(rmean)"])),
  melanoma = rmean(survfit(Surv(time, state) ~ 1, melanoma, influence = TRUE), 3000),
  clustered_units = rmean(whole, 90),
  clustered = list(estimate = rmean(whole, 90)$estimate, se = area(whole, d, 90)$patient),
  clustered_weight = list(estimate = rmean(weighted, 90)$estimate, se = weighted_se$patient,
                          se_of_survfit = rmean(weighted, 90)$se, se_by_unit = weighted_se$unit))

## 3. Mean cumulative count.
r_at <- c(10, 40, 90, 150, 200)
count <- function(terminal) function(w) mean_count(r, w, r_at, terminal)
# The same without ties against mets, which takes tied deaths one after the other; its standard error leaves out the
# factor 1 / (1 - dh) of Kaplan-Meier and so is near, not equal.
u <- r; shift <- (match(u$unit, unique(u$unit)) - 1) / 1000
u$entry <- u$entry + ifelse(u$entry > 0, shift, 0); u$exit <- u$exit + shift
u <- u[u$exit > u$entry, ]
stopifnot(!any(duplicated(u$exit[u$cause > 0])))
event <- phreg(Surv(entry, exit, cause == 1) ~ cluster(unit), data = u)
death <- phreg(Surv(entry, exit, cause == 2) ~ cluster(unit), data = u)
m <- recurrentMarginal(event, death)
k <- findInterval(r_at, m$times)
counts <- list(
  death = c(list(time = r_at), all_three(count(2), r$patient)),
  death_by_unit = all_three(count(2), r$unit),
  weight = all_three(count(2), r$patient, r$w),
  no_terminal = all_three(count(NULL), r$patient),
  no_terminal_survfit = chaz(survfit(Surv(entry, exit, cause == 1) ~ 1, r, cluster = patient), r_at),
  untied_mets = list(entry = u$entry, exit = u$exit, cause = u$cause, unit = u$unit, estimate = m$mu[k], se = m$se.mu[k]))

## 4. Contrasts of leak against none; some patients have vertebrae in both groups.
c_at <- c(20, 40, 90)
states <- function(rows, w) {
  z <- d[rows, ]; z$now <- w[rows]
  s <- survfit(Surv(entry, exit, state) ~ 1, z[z$now > 0, ], id = unit, weights = now)
  list(p = t(summary(s, times = c_at, extend = TRUE)$pstate), area = rmean(s, 90)$estimate)
}
km <- function(rows, w) {
  z <- d[rows, ]; z$now <- w[rows]
  summary(survfit(Surv(entry, exit, cause == 1) ~ 1, z[z$now > 0, ], weights = now), times = c_at, extend = TRUE)$surv
}
leak <- d$leak == 1; r_leak <- r$leak == 1
both <- function(f) list(difference = function(w) { x <- f(w); c(x[[1]] - x[[2]]) }, log_ratio = function(w) { x <- f(w); c(log(x[[1]]) - log(x[[2]])) })
pairs <- list(
  aalen_johansen = both(function(w) list(states(leak, w)$p, states(!leak, w)$p)),
  kaplan_meier = both(function(w) list(km(leak, w), km(!leak, w))),
  time_lost = both(function(w) list(states(leak, w)$area, states(!leak, w)$area)),
  mean_cumulative_count = both(function(w) list(mean_count(r[r_leak, ], w[r_leak], c_at), mean_count(r[!r_leak, ], w[!r_leak], c_at))))
contrasts <- lapply(names(pairs), function(name) {
  patient <- if (name == "mean_cumulative_count") r$patient else d$patient
  lapply(pairs[[name]], all_three, patient = patient)
})
names(contrasts) <- names(pairs)
contrasts$aalen_johansen_weight <- lapply(pairs$aalen_johansen, all_three, patient = d$patient, w = d$w)
shared <- function(z) sum(tapply(z$leak, z$patient, function(v) length(unique(v)) > 1))
# Men and women share nobody: survfit's errors, squared and added.
s <- summary(survfit(Surv(time, event) ~ sex, lung), times = c(100, 365))
independent <- list(time = c(100, 365),
  kaplan_meier = list(difference = s$surv[3:4] - s$surv[1:2], se = sqrt(s$std.err[3:4]^2 + s$std.err[1:2]^2)),
  time_lost = list(difference = diff(lost$lung365$estimate), se = sqrt(sum(lost$lung365$se^2))))

out <- list(nelson_aalen = hazard, time_lost = lost, mean_cumulative_count = counts,
            contrasts = c(list(time = c_at, patients_in_both = list(clustered = shared(d), recurrent = shared(r))), contrasts),
            independent = independent)
version <- function(p) as.character(packageVersion(p))
made <- list(made_by = "curves_beyond.R", inputs = c("data/lung.csv", "data/bladder2.csv", "data/melanoma.csv", "data/clustered.csv", "data/recurrent.csv"),
             R = as.character(getRversion()), packages = sapply(c("survival", "mets"), version, simplify = FALSE), outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "curves_beyond.json")
