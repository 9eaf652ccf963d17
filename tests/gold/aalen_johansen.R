# Clustered vertebrae with delayed entry, competing causes, whole-day ties and weights: survfit's own answers.
# Run in this folder: Rscript aalen_johansen.R   (writes data/clustered.csv and aalen_johansen.json)
suppressMessages({library(survival); library(jsonlite)})
set.seed(20240229)
n_patients <- 90
patient <- rep(seq_len(n_patients), times = 1 + (seq_len(n_patients) %% 3))
n <- length(patient)
frailty <- rgamma(n_patients, 2, 2)[patient]
entry <- ifelse(patient %% 4 == 0, sample(1:30, n, TRUE), 0)
leak <- rbinom(n, 1, 0.4); age <- round(rnorm(n_patients, 74, 8)[patient], 1)
hazard <- frailty * exp(0.6 * leak) / 120
first <- rexp(n, hazard); death <- rexp(n, exp(0.04 * (age - 74)) / 260); lost <- runif(n, 10, 200)
exit <- entry + pmax(1, ceiling(pmin(first, death, lost)))
cause <- ifelse(first <= pmin(death, lost), 1, ifelse(death <= lost, 2, 0))
d <- data.frame(unit = seq_len(n), patient, entry, exit, cause, leak, age,
                site = c("A", "B", "C")[1 + patient %% 3], w = round(0.5 + (patient %% 7) / 4, 2))
write.csv(d, "data/clustered.csv", row.names = FALSE)
d$state <- factor(d$cause, 0:2, c("none", "refracture", "death"))
at <- c(5, 20, 40, 90, 150)
read <- function(s) {
  x <- summary(s, times = at, extend = TRUE)
  list(time = x$time, pstate = x$pstate, se = x$std.err, lower = x$lower, upper = x$upper, n_risk = x$n.risk[, 1],
       strata = if (is.null(x$strata)) NULL else as.character(x$strata))
}
km <- function(s) {
  x <- summary(s, times = at, extend = TRUE)
  list(time = x$time, surv = x$surv, se = x$std.err, lower = x$lower, upper = x$upper)
}
split <- survSplit(Surv(entry, exit, cause > 0) ~ ., d, cut = c(10, 25, 60), start = "entry", end = "exit", event = "had")
split$cause <- ifelse(split$had == 1, d$cause[match(split$unit, d$unit)], 0)
split$state <- factor(split$cause, 0:2, c("none", "refracture", "death"))
f <- Surv(entry, exit, state) ~ 1
# survfit 3.5-3 takes `id` as the cluster of a multi-state curve and ignores `cluster` (checked below), so the variance
# by patient is worked from its own influence values: summed over a patient's vertebrae, squared, summed.
by_patient <- function(s, z, prior = rep(1, nrow(z)), conf_type = "log-log") {
  u <- s$influence.pstate
  stopifnot(nrow(u) == length(unique(z$unit)))
  i <- match(seq_len(nrow(u)), match(z$unit, unique(z$unit)))
  k <- findInterval(at, s$time)
  u <- u * prior[match(unique(z$unit), z$unit)]  # influence values are per unit of weight: R's own error confirms it
  own <- sqrt(apply(u^2, c(2, 3), sum))[-1, ]
  stopifnot(max(abs(own[k, ] - s$std.err[k, ])) < 1e-10)
  se <- sqrt(apply(u, c(2, 3), function(v) sum(rowsum(v, z$patient[i])^2)))[-1, ][k, ]
  p <- summary(s, times = at, extend = TRUE)$pstate
  q <- qnorm(0.975)
  if (conf_type == "log") { lower <- p * exp(-q * se / p); upper <- pmin(p * exp(q * se / p), 1)
  } else { reach <- q * se / (p * abs(log(p))); lower <- exp(-exp(log(-log(p)) + reach)); upper <- exp(-exp(log(-log(p)) - reach)) }
  lower[p == 0] <- NA; upper[p == 0] <- NA
  list(time = at, pstate = p, se = se, lower = lower, upper = upper)
}
with_id <- survfit(f, d, id = unit, conf.type = "log-log", influence = TRUE)
ignored <- survfit(f, d, id = unit, cluster = patient)
stopifnot(identical(ignored$std.err, with_id$std.err))
sites <- lapply(split(d, d$site), function(z) by_patient(survfit(f, z, id = unit, influence = TRUE), z))
out <- list(
  plain = read(survfit(Surv(exit, state) ~ 1, d, conf.type = "log-log")),
  entry = read(survfit(f, d, id = unit, conf.type = "log-log")),
  entry_cluster = by_patient(with_id, d),
  entry_cluster_log = by_patient(with_id, d, conf_type = "log"),
  entry_cluster_split = by_patient(survfit(f, split, id = unit, influence = TRUE), split),
  entry_weight = read(survfit(f, d, id = unit, weights = w, conf.type = "log-log")),
  entry_cluster_weight = by_patient(survfit(f, d, id = unit, weights = w, influence = TRUE), d, d$w),
  by_site = sites,
  km_entry = km(survfit(Surv(entry, exit, cause == 1) ~ 1, d, conf.type = "log-log")),
  km_entry_cluster = km(survfit(Surv(entry, exit, cause == 1) ~ 1, d, cluster = patient, conf.type = "log-log")),
  km_cluster_weight = km(survfit(Surv(exit, cause == 1) ~ 1, d, cluster = patient, weights = w, conf.type = "log-log"))
)
made <- list(made_by = "aalen_johansen.R", inputs = "data/clustered.csv", R = as.character(getRversion()),
             packages = list(survival = as.character(packageVersion("survival"))), at = at, outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "aalen_johansen.json")
