# Incidence at given covariates, and how it varies. Run in this folder after aalen_johansen.R (data/clustered.csv).
# survfit() of a multi-state coxph gives no standard errors (survival 3.5-3), so the robust ones come from their definition:
# the derivative of the curve by the weight of each patient, by central differences, squared and summed.
suppressMessages({library(survival); library(cmprsk); library(riskRegression); library(jsonlite)})
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
d <- read.csv("data/clustered.csv"); d$state <- factor(d$cause, 0:2, c("none", "refracture", "death"))
at <- c(5, 20, 40, 90, 150)
profiles <- data.frame(leak = c(0, 1, 1), age = c(70, 70, 85))
sites <- cbind(profiles, site = c("A", "C", "B"))
step <- 1e-4

# days x profiles x states, from the cumulative hazards of one coxph per cause: expm() of two competing jumps
curve <- function(z, w, ties, strata = FALSE, leave = rep(TRUE, nrow(z))) {
  z$w_ <- w
  z <- z[leave, ]
  time <- sort(unique(z$exit))
  hazard <- lapply(1:2, function(cause) {
    z$had <- z$cause == cause
    f <- if (strata) Surv(entry, exit, had) ~ leak + age + strata(site) else Surv(entry, exit, had) ~ leak + age
    fit <- coxph(f, z, weights = w_, ties = ties, robust = FALSE, control = tight)
    sapply(1:3, function(k) { s <- survfit(fit, newdata = sites[k, ], se.fit = FALSE)
      diff(c(0, c(0, s$cumhaz)[findInterval(time, s$time) + 1])) })
  })
  out <- array(0, c(length(at), 3, 3))
  for (k in 1:3) {
    h <- cbind(hazard[[1]][, k], hazard[[2]][, k]); total <- rowSums(h)
    free <- c(1, exp(-cumsum(total)))
    shared <- ifelse(total > 0, (1 - exp(-total)) / total, 1)
    p <- rbind(c(1, 0, 0), cbind(free[-1], apply(free[-length(free)] * shared * h, 2, cumsum)))
    out[, k, ] <- p[findInterval(at, time) + 1, ]
  }
  out
}
# the same by survfit() of one multi-state model. With Breslow they agree; with Efron it divides the tied events of a day
# by the mean of their risk sets, where survfit() of a coxph of one cause adds one quotient per event
multistate <- function(ties, w = rep(1, nrow(d))) {
  d$w_ <- w
  fit <- coxph(Surv(entry, exit, state) ~ leak + age, d, id = unit, weights = w_, ties = ties, control = tight)
  summary(survfit(fit, newdata = profiles), times = at, extend = TRUE)$pstate
}
by_weight <- function(f, patients, each) {
  total <- 0
  for (k in patients) {
    up <- f(ifelse(each == k, 1 + step, 1)); down <- f(ifelse(each == k, 1 - step, 1))
    total <- total + ((up - down) / (2 * step))^2
  }
  sqrt(total)
}
out <- list()
each <- d$patient
for (ties in c("efron", "breslow")) {
  out[[paste0("multistate_", ties)]] <- list(pstate = multistate(ties))
  out[[paste0("multistate_weight_", ties)]] <- list(pstate = multistate(ties, d$w))
  out[[paste0("entry_", ties)]] <- list(pstate = curve(d, 1, ties), se = by_weight(function(m) curve(d, m, ties), unique(each), each))
  out[[paste0("weight_", ties)]] <- list(pstate = curve(d, d$w, ties), se = by_weight(function(m) curve(d, d$w * m, ties), unique(each), each))
}
out$strata_efron <- list(pstate = curve(d, 1, "efron", TRUE), se = by_weight(function(m) curve(d, m, "efron", TRUE), unique(each), each))
# leaving one patient out at a time
left <- simplify2array(lapply(unique(d$patient), function(k) curve(d, rep(1, nrow(d)), "efron", leave = d$patient != k)))
n <- dim(left)[4]
out$jackknife_efron <- list(se = sqrt((n - 1) / n * apply((left - c(apply(left, 1:3, mean)))^2, 1:3, sum)))

# one cause: the model-based error of survfit(coxph)
single <- function(fit, new) { s <- summary(survfit(fit, newdata = new), times = at, extend = TRUE)
  list(surv = s$surv, se = s$std.err) }
d$event <- as.integer(d$cause == 1)
for (ties in c("efron", "breslow")) {
  out[[paste0("single_", ties)]] <- single(coxph(Surv(entry, exit, event) ~ leak + age, d, ties = ties, control = tight), profiles)
  out[[paste0("single_weight_", ties)]] <- single(coxph(Surv(entry, exit, event) ~ leak + age, d, ties = ties, weights = w, robust = FALSE, control = tight), profiles)
}

# Fine-Gray: finegray(), coxph(), survfit(); the variance takes the weights of finegray as known
g <- finegray(Surv(entry, exit, state) ~ leak + age + patient, d, etype = "refracture", id = unit)
fg <- function(m, ties) {
  g$w_ <- g$fgwt * m
  s <- survfit(coxph(Surv(fgstart, fgstop, fgstatus) ~ leak + age, g, weights = w_, ties = ties, control = tight), newdata = profiles)
  1 - summary(s, times = at, extend = TRUE)$surv
}
for (ties in c("efron", "breslow")) out[[paste0("finegray_", ties)]] <- list(
  cif = fg(1, ties), se = by_weight(function(m) fg(m, ties), unique(d$patient), g$patient))

# cmprsk: its own weights (losses before the events of their day) and Breslow
p <- read.csv("data/pbc.csv"); tp <- c(500, 1000, 2000, 3000, 4000)
cr <- crr(p$time, p$status, as.matrix(p[, c("age", "sexf", "lbili")]), failcode = 2, cencode = 0, gtol = 1e-12)
pr <- predict(cr, rbind(c(50, 1, 1), c(65, 0, 2)))
out$pbc_crr <- list(coef = as.list(cr$coef), time = tp, cif = sapply(tp, function(z) apply(pr[pr[, 1] <= z, 2:3], 2, max)))

# riskRegression: survival exp(-L), and the product limit of two cause-specific models with errors from influence functions
l <- read.csv("data/lung.csv")
f <- coxph(Surv(time, event) ~ age + sex + ph_ecog, l, x = TRUE, control = tight)
out$lung_predict_risk <- list(time = c(100, 200, 365, 500), surv = 1 - predictRisk(f, newdata = l, times = c(100, 200, 365, 500)))
m <- read.csv("data/melanoma.csv"); tm <- c(500, 1000, 2000, 3000)
new <- data.frame(ulcer = c(0, 1), age = c(50, 70), logthick = c(0.5, 1.5))
for (ties in c("breslow", "efron")) {
  csc <- CSC(Hist(time, status) ~ ulcer + age + logthick, m, ties = ties, control = tight)
  for (cause in 1:2) {
    z <- predict(csc, newdata = new, times = tm, cause = cause, se = ties == "breslow", product.limit = TRUE)
    out[[paste0("csc_", ties, "_", cause)]] <- list(time = tm, cif = z$absRisk, se = z$absRisk.se)
  }
}
made <- list(made_by = "absolute_risk.R", inputs = paste0("data/", c("clustered", "lung", "pbc", "melanoma"), ".csv"), R = as.character(getRversion()),
             packages = lapply(c(survival = "survival", cmprsk = "cmprsk", riskRegression = "riskRegression"), function(k) as.character(packageVersion(k))),
             at = at, profiles = profiles, sites = sites$site, outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = FALSE, null = "null", na = "null"), "absolute_risk.json")
