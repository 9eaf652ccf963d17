# Vertebrae of patients among four states, back and forth, with late entry, whole-day ties and weights: survfit's own
# answers.
# Run in this folder: Rscript multistate.R   (writes data/courses.csv and multistate.json)
suppressMessages({library(survival); library(jsonlite)})
set.seed(20240311)
states <- c("intact", "broken", "healed", "dead")
n_patients <- 90
patient <- rep(seq_len(n_patients), times = 1 + (seq_len(n_patients) %% 3))
rate <- rbind(intact = c(0, 1 / 60, 0, 1 / 200), broken = c(0, 0, 1 / 25, 1 / 120), healed = c(1 / 90, 1 / 40, 0, 1 / 150))
frailty <- rgamma(n_patients, 3, 3)
course <- function(unit) {
  p <- patient[unit]
  now <- if (p %% 4 == 0) sample(1:30, 1) else 0
  state <- if (p %% 4 == 0) sample(1:3, 1) else if (p %% 5 == 0) 2 else 1
  end <- now + sample(20:160, 1)
  rows <- NULL
  repeat {
    hazard <- rate[state, ] * c(1, frailty[p], 1, 1)
    leave <- now + max(1, ceiling(rexp(1, sum(hazard))))
    to <- if (leave > end) NA else sample(4, 1, prob = hazard)
    rows <- rbind(rows, data.frame(unit, patient = p, entry = now, exit = min(leave, end), was = states[state],
                                   becomes = if (is.na(to)) NA else states[to], w = round(0.5 + (p %% 7) / 4, 2)))
    if (is.na(to) || to == 4 || leave == end) return(rows)
    now <- leave; state <- to
  }
}
d <- do.call(rbind, lapply(seq_along(patient), course))
write.csv(d, "data/courses.csv", row.names = FALSE, na = "")
at <- c(3, 10, 30, 60, 100, 140)
horizon <- 120
event <- function(z) factor(ifelse(is.na(z$becomes), "none", z$becomes), c("none", states))
was <- function(z) factor(z$was, states)
fit <- function(z, weight = rep(1, nrow(z)), ...) {
  z$weight <- weight
  survfit(Surv(entry, exit, event(z)) ~ 1, z, id = unit, istate = was(z), weights = weight, influence = TRUE, ...)
}

# survfit 3.5-3 takes `id` as the cluster of a multi-state curve (see aalen_johansen.R), so the variance by patient is
# worked from its own influence values: summed over a patient's vertebrae, squared, summed. They are per unit of weight.
# Its std.err leaves out the shares at the start where influence = FALSE, and has them where influence = TRUE.
answers <- function(s, z, prior = rep(1, nrow(z)), of = z$unit, days = at) {
  u <- s$influence.pstate
  order_of <- match(s$states, states); stopifnot(!anyNA(order_of))
  ids <- if (is.null(dimnames(u)[[1]])) sort(unique(z$unit)) else as.numeric(dimnames(u)[[1]])
  row <- match(ids, z$unit)
  u <- u * prior[row]
  total <- function(v) sqrt(sum(rowsum(v, of[row])^2))
  own <- sqrt(apply(u^2, c(2, 3), sum))[-1, ]
  stopifnot(max(abs(own - s$std.err)) < 1e-10)
  everything <- function(m) { full <- matrix(0, nrow(m), 4); full[, order_of] <- m; full }
  k <- findInterval(days, s$time)
  p <- rbind(s$p0, s$pstate)[k + 1, ]
  se <- apply(u, c(2, 3), total)[k + 1, ]
  q <- qnorm(0.975)
  reach <- q * se / (p * abs(log(p)))
  lower <- exp(-exp(log(-log(p)) + reach)); upper <- exp(-exp(log(-log(p)) - reach))
  lower[p == 0] <- NA; upper[p == 0] <- NA
  before <- s$time < horizon
  lasts <- diff(c(0, s$time[before], horizon))
  mean_days <- colSums(lasts * rbind(s$p0, s$pstate)[seq_along(lasts), ])
  area <- apply(u[, seq_along(lasts), ], c(1, 3), function(v) sum(v * lasts))
  list(time = days, pstate = everything(p), se = everything(se), lower = everything(lower), upper = everything(upper),
       mean_days = everything(t(mean_days))[1, ], mean_days_se = everything(t(apply(area, 2, total)))[1, ])
}
z <- d[d$patient %% 4 != 0 & d$patient %% 5 != 0, ]     # all start intact on day 0
plain <- fit(z)
printed <- summary(plain, rmean = horizon)$table         # R's own mean time in state
d$row <- seq_len(nrow(d)); d$moved <- 1 * !is.na(d$becomes)
split <- survSplit(Surv(entry, exit, moved) ~ ., d, cut = c(10, 25, 60), start = "entry", end = "exit", event = "moved")
split$becomes <- ifelse(split$moved == 1, d$becomes[split$row], NA)
out <- list(
  plain = answers(plain, z),
  late_entry = answers(fit(d), d),
  by_patient = answers(fit(d), d, of = d$patient),
  split = answers(fit(split), split, of = split$patient),
  weighted = answers(fit(d, d$w), d, prior = d$w),
  weighted_by_patient = answers(fit(d, d$w), d, prior = d$w, of = d$patient),
  given_start = answers(fit(d, p0 = c(intact = 0.7, broken = 0.2, healed = 0.1, dead = 0)[fit(d)$states]), d, of = d$patient),
  every_day = with(fit(d), list(time = time[rowSums(n.event) > 0], states = states,
                                n_event = n.event[rowSums(n.event) > 0, match(states, fit(d)$states)],
                                n_risk = n.risk[rowSums(n.event) > 0, match(states, fit(d)$states)])),
  rmean = list(state = rownames(printed), days = printed[, "rmean"], se = printed[, grep("se", colnames(printed))]),
  transitions = as.data.frame(survcheck(Surv(entry, exit, event(d)) ~ 1, d, id = unit, istate = was(d))$transitions)
)
made <- list(made_by = "multistate.R", inputs = "data/courses.csv", R = as.character(getRversion()),
             packages = list(survival = as.character(packageVersion("survival"))), at = at, horizon = horizon,
             outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "multistate.json")
