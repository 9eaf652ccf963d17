# The parts of a risk factor, one by one: hazards, subdistribution hazards, standardized risks, exact ratios, drugs.
# Run in this folder after `python test_risk_factors.py`, which writes the data:  Rscript risk_factors.R  (2 minutes)
suppressMessages({library(survival); library(jsonlite)})
hazard <- read.csv("data/risk_factors_hazard.csv")      # vertebrae at risk, exposures as on each day, events come back
units <- read.csv("data/risk_factors_units.csv")        # treated vertebrae to their first refracture, as at entry
patients <- read.csv("data/risk_factors_patients.csv")  # patients to their first refracture, as at entry
H <- 365; between <- c(-3.5, -2.5); landmarks <- c(90, 180, 365); lags <- c(90, 180)
sets <- list(cleft = c("t_score", "corticosteroids", "age"), t_score = c("age", "female"),
             anti_osteoporotic = c("t_score", "corticosteroids", "age", "prior_fractures"))
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 50)
whole <- function(d, terms) d[complete.cases(d[terms]), ]
of <- function(terms, y = "Surv(entry, exit, cause == 1)")
  as.formula(paste(y, "~", paste(terms, collapse = " + ")), parent.frame())
cx <- function(fit) list(coef = unname(coef(fit)[1]), se = sqrt(fit$var[1, 1]))
each <- function(f) sapply(names(sets), function(x)
  list(crude = f(x, x), adjusted = f(x, c(x, sets[[x]]))), simplify = FALSE)

## Cause-specific hazard; other causes and the next treatment end the time at risk
cox <- each(function(x, terms) {
  d <- whole(hazard, terms)
  c(cx(coxph(of(terms), d, cluster = cluster, control = tight)),
    list(n_events = sum(d$cause == 1), n_units = length(unique(d$id)), n_patients = length(unique(d$cluster))))
})

## Subdistribution hazard: the weights are those of all units, the model that of complete ones
units$state <- factor(units$cause, 0:2, c("none", "refracture", "death"))
expanded <- finegray(Surv(entry, exit, state) ~ id + cluster, units, etype = "refracture", id = id)
fixed <- unique(c("id", names(sets), unlist(sets)))
expanded <- merge(expanded, units[fixed], by = "id")
gray <- each(function(x, terms) cx(coxph(of(terms, "Surv(fgstart, fgstop, fgstatus)"), whole(expanded, terms),
                                         weights = fgwt, cluster = cluster, control = tight)))

## Standardized risks. From Cox models of refracture and death: a day with hazards h1, h2 and sum h leaves exp(-h), and
## (1 - exp(-h)) h1 / h of those left refracture on it. From a logistic model: known outcomes over the chance of not
## being lost; on one day events come before losses.
by_cox <- function(z, x, terms, arms) {
  far <- coxph.control(eps = 1e-10, iter.max = 100)  # tighter, rounding makes it halve its last step
  fit <- lapply(1:2, function(k) coxph(of(terms, paste0("Surv(entry, exit, cause == ", k, ")")), z, control = far))
  origin <- as.data.frame(as.list(setNames(rep(0, length(terms)), terms)))
  curves <- lapply(fit, function(m) survfit(m, newdata = origin))
  days <- sort(unique(z$exit[z$cause > 0 & z$exit <= H]))
  jumps <- sapply(curves, function(c) diff(c(0, stepfun(c$time, c(0, c$cumhaz))(days))))
  sapply(arms, function(value) {
    there <- as.matrix(replace(z[terms], x, value))
    ratio <- sapply(fit, function(m) exp(drop(there %*% coef(m))))
    mean(sapply(seq_len(nrow(z)), function(i) {
      h <- sweep(jumps, 2, ratio[i, ], "*"); all <- rowSums(h)
      left <- c(1, exp(-cumsum(all)))[seq_along(all)]
      sum(left * ifelse(all > 0, -expm1(-all) / all, 1) * h[, 1])
    }))
  })
}
by_logistic <- function(z, x, terms, arms) {
  z <- z[z$entry == 0, ]
  lost <- z$cause == 0
  km <- survfit(Surv(z$exit + 0.5 * lost, lost) ~ 1)
  before <- function(t) c(1, km$surv)[1 + findInterval(t, km$time, left.open = TRUE)]
  z$W <- ifelse(!lost | z$exit >= H, 1 / before(pmin(z$exit, H)), 0)
  z$y <- as.integer(z$cause == 1 & z$exit <= H)
  z <- whole(z, terms)
  m <- suppressWarnings(glm(of(terms, "y"), binomial, z[z$W > 0, ], weights = W,
                            control = glm.control(epsilon = 1e-15, maxit = 200)))
  sapply(arms, function(value) mean(predict(m, replace(z, x, value), type = "response")))
}
four <- function(r) c(r[2], r[1], r[2] - r[1], r[2] / r[1])  # all, none, difference, ratio
# Leaving one patient out at a time; the logarithm of the ratio.
jackknife <- function(estimator, z) {
  who <- unique(z$cluster)
  left <- sapply(who, function(g) { r <- four(estimator(z[z$cluster != g, ])); c(r[1:3], log(r[4])) })
  sqrt((length(who) - 1) / length(who) * rowSums((left - rowMeans(left))^2))
}
standardized <- function(estimator, complete) each(function(x, terms) {
  arms <- if (x == "t_score") between else c(0, 1)
  z <- if (complete) whole(units, terms) else units
  run <- function(z) estimator(z, x, terms, arms)
  list(estimate = four(run(z)), jackknife = if (x != "anti_osteoporotic") jackknife(run, z))
})
risk_cox <- standardized(by_cox, TRUE)
risk_logistic <- standardized(by_logistic, FALSE)

## Exact ratios, crude: of rates over vertebra-days, and of odds of patients whose outcome at the horizon is known
root <- function(f) uniroot(f, c(-15, 15), tol = 1e-13)$root
exact_rate <- function(x) {
  d <- whole(hazard, x)
  e <- c(sum(d$cause[d[[x]] == 1]), sum(d$cause[d[[x]] == 0]))
  t <- c(sum((d$exit - d$entry)[d[[x]] == 1]), sum((d$exit - d$entry)[d[[x]] == 0]))
  p <- function(beta) exp(beta) * t[1] / (exp(beta) * t[1] + t[2])
  below <- function(b) pbinom(e[1], sum(e), p(b)) - dbinom(e[1], sum(e), p(b)) / 2
  r <- poisson.test(e, t)
  list(estimate = unname(r$estimate), exact = as.numeric(r$conf.int), events = e, days = t,
       mid_p = exp(c(root(function(b) 1 - below(b) - 0.025), root(function(b) below(b) - 0.025))))
}
exact_odds <- function(x) {
  d <- whole(patients, x)
  y <- d$cause == 1 & d$exit <= H
  known <- d$entry == 0 & (y | d$cause == 2 | d$exit >= H)
  table_ <- table(factor(d[[x]][known], 1:0), factor(y[known], c(TRUE, FALSE)))
  a <- table_[1, 1]; m <- sum(table_[, 1]); exposed <- sum(table_[1, ]); n <- sum(table_)
  support <- max(0, m + exposed - n):min(m, exposed)
  weight <- lchoose(exposed, support) + lchoose(n - exposed, m - support)
  p <- function(beta) { w <- weight + beta * support; w <- exp(w - max(w)); w / sum(w) }
  up <- function(b, share) sum(p(b)[support > a]) + share * p(b)[support == a]
  down <- function(b, share) sum(p(b)[support < a]) + share * p(b)[support == a]
  limits <- function(share) exp(c(root(function(b) up(b, share) - 0.025), root(function(b) down(b, share) - 0.025)))
  fisher <- fisher.test(table_)
  list(table = c(table_), estimate = exp(root(function(b) sum(p(b) * support) - a)), exact = limits(1), mid_p = limits(0.5),
       fisher = c(fisher$estimate, fisher$conf.int), left_out = sum(!known))
}
yes_no <- c("cleft", "anti_osteoporotic")

## The drug: as on landmark days among those still at risk; and moved by a lag, day by day
terms <- c("anti_osteoporotic", sets$anti_osteoporotic)
at_day <- function(s) {
  covering <- whole(hazard[hazard$entry < s & hazard$exit >= s, ], terms)
  next_day <- unique(hazard$id[hazard$entry <= s & hazard$exit > s])
  covering <- covering[covering$id %in% next_day, ]
  later <- hazard[hazard$exit > s & hazard$id %in% covering$id, ]
  later[terms] <- covering[match(later$id, covering$id), terms]
  later$entry <- pmax(later$entry, s); later$landmark <- s
  later
}
parts <- lapply(landmarks, at_day)
on_days <- lapply(parts, function(d) c(cx(coxph(of(terms), d, cluster = cluster, control = tight)),
                                       list(n_units = length(unique(d$id)), n_events = sum(d$cause))))
names(on_days) <- landmarks
stack <- do.call(rbind, parts)
on_days$stacked <- cx(coxph(update(of(terms), ~ . + strata(landmark)), stack, cluster = cluster, control = tight))

# Use on each day of each patient, from whichever vertebra is at risk; on days without one, as on the day before.
use <- lapply(split(hazard, hazard$cluster), function(d) {
  u <- rep(NA, max(d$exit))
  for (k in seq_len(nrow(d))) u[(d$entry[k] + 1):d$exit[k]] <- d$anti_osteoporotic[k]
  seen <- which(!is.na(u)); first <- seen[1]
  u[first:length(u)] <- u[seen[findInterval(first:length(u), seen)]]
  list(first = first, u = u)
})
used_on <- function(cluster, day) mapply(function(g, t) {
  mine <- use[[as.character(g)]]
  if (t < mine$first) mine$u[mine$first] else mine$u[t]  # a course that holds on the first day began long before
}, cluster, day)
events <- sort(unique(hazard$exit[hazard$cause == 1]))
daily <- survSplit(Surv(entry, exit, cause) ~ ., hazard, cut = events)
daily <- daily[daily$exit %in% events, ]  # a risk set is made on a day with an event alone
lagged <- lapply(setNames(lags, lags), function(lag) {
  daily$anti_osteoporotic <- used_on(daily$cluster, daily$exit - lag)
  cx(coxph(of(terms, "Surv(entry, exit, cause)"), whole(daily, terms), cluster = cluster, control = tight))
})

made <- list(made_by = "risk_factors.R", inputs = paste0("data/risk_factors_", c("hazard", "units", "patients"), ".csv"),
  R = as.character(getRversion()), packages = list(survival = as.character(packageVersion("survival"))),
  outputs = list(cox = cox, gray = gray, risk_cox = risk_cox, risk_logistic = risk_logistic,
                 rates = sapply(yes_no, exact_rate, simplify = FALSE), odds = sapply(yes_no, exact_odds, simplify = FALSE),
                 landmark = on_days, lagged = lagged))
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "risk_factors.json")
