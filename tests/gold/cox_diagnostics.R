# Hazard ratios by interval, tt(), influence, martingale and deviance residuals, scaled Schoenfeld residuals and smooths.
# Run after aalen_johansen.R and reference.R, which write the data.
suppressMessages({library(survival); library(splines); library(jsonlite)})
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 50)
cx <- function(f) list(
  coef = as.list(coef(f)), se = as.list(setNames(sqrt(diag(f$var)), names(coef(f)))),
  se_naive = as.list(setNames(sqrt(diag(if (is.null(f$naive.var)) f$var else f$naive.var)), names(coef(f)))),
  loglik = f$loglik, score = f$score, nevent = f$nevent)
d <- read.csv("data/clustered.csv"); d$event <- as.integer(d$cause == 1)
d$risk <- factor(c("no", "not_assessable", "yes")[1 + (d$unit * 7) %% 3], c("no", "not_assessable", "yes"))
v <- read.csv("data/veteran.csv")
out <- list()

## by interval: survSplit, the exposure nested in the interval, and Wald's test of equal coefficients
equal <- function(f, places) {
  b <- coef(f)[places]; V <- f$var[places, places]
  C <- cbind(diag(length(b) - 1), 0) - cbind(0, diag(length(b) - 1))
  drop(t(C %*% b) %*% solve(C %*% V %*% t(C), C %*% b))
}
cuts <- c(15, 40)
s <- survSplit(Surv(entry, exit, event) ~ ., d, cut = cuts, episode = "part")
for (k in 1:3) {
  s[[paste0("leak_", k)]] <- s$leak * (s$part == k)
  s[[paste0("yes_", k)]] <- (s$risk == "yes") * (s$part == k)
  s[[paste0("unknown_", k)]] <- (s$risk == "not_assessable") * (s$part == k)
}
for (ties in c("efron", "breslow")) {
  f <- coxph(Surv(entry, exit, event) ~ leak_1 + leak_2 + leak_3 + age, s, ties = ties, control = tight)
  out[[paste0("interval_", ties)]] <- c(cx(f), list(test = equal(f, 1:3)))
  f <- coxph(Surv(entry, exit, event) ~ leak_1 + leak_2 + leak_3 + age + strata(site), s, ties = ties, cluster = patient,
             weights = w, control = tight)
  out[[paste0("interval_cluster_", ties)]] <- c(cx(f), list(test = equal(f, 1:3)))
}
f <- coxph(Surv(entry, exit, event) ~ unknown_1 + unknown_2 + unknown_3 + yes_1 + yes_2 + yes_3 + leak, s,
           cluster = patient, control = tight)
C <- rbind(c(1, -1, 0, 0, 0, 0), c(0, 1, -1, 0, 0, 0), c(0, 0, 0, 1, -1, 0), c(0, 0, 0, 0, 1, -1))
V <- f$var[1:6, 1:6]; b <- coef(f)[1:6]
out$interval_categories <- c(cx(f), list(
  test = c(equal(f, 1:3), equal(f, 4:6), drop(t(C %*% b) %*% solve(C %*% V %*% t(C), C %*% b)))))
out$interval_counts <- list(
  events = as.vector(tapply(s$event, s$part, sum)), units = as.vector(tapply(s$unit, s$part, function(u) length(unique(u)))),
  patients = as.vector(tapply(s$patient, s$part, function(u) length(unique(u)))))

## functions of time
out$vet_tt <- cx(coxph(Surv(time, status) ~ trt + karno + tt(karno), v, tt = function(x, t, ...) x * log(t + 20)))
out$tt_tight <- cx(coxph(Surv(time, status) ~ trt + karno + tt(karno), v, tt = function(x, t, ...) x * log(t + 20),
                         control = tight))
# R's tt() with late entry and clusters: by hand, split at every event time.
z <- survSplit(Surv(entry, exit, event) ~ ., d, cut = sort(unique(d$exit[d$event == 1])))
z$leak_time <- z$leak * log(z$exit)
out$tt_late <- list()
for (ties in c("efron", "breslow"))
  out$tt_late[[ties]] <- cx(coxph(Surv(entry, exit, event) ~ leak + age + leak_time, z, ties = ties, cluster = patient,
                                  control = tight))

## influence and residuals
for (ties in c("efron", "breslow")) {
  fits <- list(
    entry = coxph(Surv(entry, exit, event) ~ leak + age, d, ties = ties, control = tight),
    entry_strata = coxph(Surv(entry, exit, event) ~ leak + age + strata(site), d, ties = ties, control = tight),
    entry_weight = coxph(Surv(entry, exit, event) ~ leak + age, d, ties = ties, weights = w, control = tight))
  if (ties == "efron") fits$categories <- coxph(Surv(entry, exit, event) ~ risk + leak + age, d, control = tight)
  for (n in names(fits)) {
    f <- fits[[n]]
    q <- lapply(c(km = "km", rank = "rank", identity = "identity", log = "log"), function(tr) cox.zph(f, transform = tr, terms = FALSE))
    y <- q$km$y; o <- do.call(order, c(list(q$km$time), lapply(seq_len(ncol(y)), function(j) y[, j])))
    # The smooth of plot.cox.zph, with the knots at quantiles of the event times alone and not of the plot's grid too.
    smooth <- lapply(q, function(q) {
      knots <- quantile(q$x, c(1 / 3, 2 / 3)); edge <- range(q$x); grid <- seq(edge[1], edge[2], length = 7)
      basis <- ns(q$x, knots = knots, Boundary.knots = edge, intercept = TRUE)
      points <- ns(grid, knots = knots, Boundary.knots = edge, intercept = TRUE)
      inverse <- solve(crossprod(basis))
      list(x = grid - mean(q$x), fit = points %*% inverse %*% crossprod(basis, q$y),
           se = sapply(diag(as.matrix(q$var)), function(v) sqrt(v * rowSums((points %*% inverse) * points))))
    })
    out[[paste0(n, "_", ties)]] <- list(
      dfbeta = unname(residuals(f, "dfbeta", collapse = d$patient)),
      dfbetas = unname(residuals(f, "dfbetas", collapse = d$patient)),
      martingale = unname(residuals(f, "martingale")), deviance = unname(suppressWarnings(residuals(f, "deviance"))),
      martingale_patient = unname(residuals(f, "martingale", collapse = d$patient)),
      deviance_patient = unname(suppressWarnings(residuals(f, "deviance", collapse = d$patient))),
      zph = list(time = q$km$time[o], y = unname(y)[o, , drop = FALSE], x = lapply(q, function(q) q$x[o] - mean(q$x))),
      smooth = smooth)
  }
}
# A covariate constant in one stratum has no scaled residual there.
part <- d; part$leak[part$site == "A"] <- 0
q <- cox.zph(coxph(Surv(entry, exit, event) ~ leak + age + strata(site), part, control = tight), terms = FALSE)
o <- order(q$time, q$y[, 2], q$y[, 1])
out$constant_in_stratum <- list(time = q$time[o], y = unname(q$y)[o, ], var = unname(diag(q$var)))
# Left out in truth: the coefficients without each of the first patients, refitted.
out$left_out <- lapply(c(2, 5, 9, 20), function(p) unname(coef(
  coxph(Surv(entry, exit, event) ~ leak + age, d[d$patient != p, ], control = tight))))
made <- list(made_by = "cox_diagnostics.R", inputs = c("data/clustered.csv", "data/veteran.csv"),
             R = as.character(getRversion()), packages = list(survival = as.character(packageVersion("survival"))),
             calls = list(vet_tt = "coxph(Surv(time, status) ~ trt + karno + tt(karno), tt = function(x, t, ...) x * log(t + 20))"),
             cuts = cuts, outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = FALSE, null = "null", na = "null"), "cox_diagnostics.json")
