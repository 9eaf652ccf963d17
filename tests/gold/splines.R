# Restricted cubic splines: basis and knots of Hmisc, hazard ratios along them and Wald tests from coxph by hand.
# Run in this folder after aalen_johansen.R (data/clustered.csv).
suppressMessages({library(survival); library(Hmisc); library(jsonlite)})
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
d <- read.csv("data/clustered.csv"); d$event <- as.integer(d$cause == 1); l <- read.csv("data/lung.csv")
basis <- function(x, t) {  # plain R, checked against Hmisc
  k <- length(t); p <- function(z) pmax(z, 0)^3
  b <- sapply(seq_len(k - 2), function(j) (p(x - t[j]) - p(x - t[k - 1]) * (t[k] - t[j]) / (t[k] - t[k - 1]) +
    p(x - t[k]) * (t[k - 1] - t[j]) / (t[k] - t[k - 1])) / (t[k] - t[1])^2)
  cbind(x, matrix(b, length(x)))
}
wald <- function(b, v) { s <- drop(b %*% solve(v, b)); list(statistic = s, df = length(b), p = pchisq(s, length(b), lower.tail = FALSE)) }
out <- list()
for (k in 3:7) {
  t <- unname(rcspline.eval(l$age, nk = k, knots.only = TRUE))
  b <- unname(basis(l$age, t)); theirs <- unname(rcspline.eval(l$age, knots = t, inclx = TRUE))
  stopifnot(max(abs(b - theirs)) < 1e-9)
  out[[paste0("knots_lung_", k)]] <- t
  if (k == 5) out$basis_lung_5 <- b[1:10, ]
}
out$knots_few <- unname(rcspline.eval(l$age[1:60], nk = 4, knots.only = TRUE))  # fewer than 100: the fifth from either end
form <- function(z, formula, x, t, ref, at, cluster = NULL, w = NULL, ties = "efron") {
  z$s <- basis(z[[x]], t)
  z$c_ <- if (is.null(cluster)) seq_len(nrow(z)) else z[[cluster]]; z$w_ <- if (is.null(w)) 1 else z[[w]]
  f <- if (is.null(cluster)) coxph(update(formula, ~ s + .), z, control = tight, ties = ties)
       else coxph(update(formula, ~ s + .), z, control = tight, ties = ties, weights = w_, cluster = c_)
  q <- seq_len(ncol(z$s)); m <- sweep(basis(at, t), 2, basis(ref, t)[1, ])
  b <- coef(f)[q]; v <- vcov(f)[q, q]; nv <- (if (is.null(f$naive.var)) f$var else f$naive.var)[q, q]
  list(knots = t, reference = ref, at = at, coef = drop(m %*% b), se = sqrt(rowSums((m %*% v) * m)), se_naive = sqrt(rowSums((m %*% nv) * m)),
       any = wald(b, v), bent = wald(b[-1], v[-1, -1, drop = FALSE]))
}
at <- c(55, 65, 74, 80, 90)
q4 <- unname(quantile(d$age, c(.05, .35, .65, .95)))
y <- Surv(entry, exit, event) ~ leak
out$clustered <- form(d, y, "age", q4, median(d$age), at, cluster = "patient")
out$clustered_breslow <- form(d, y, "age", q4, 74, at, cluster = "patient", ties = "breslow")
out$clustered_weight <- form(d, y, "age", q4, 74, at, cluster = "patient", w = "w")
out$clustered_strata <- form(d, Surv(entry, exit, event) ~ leak + strata(site), "age", c(60, 72, 85), 74, at, cluster = "patient")
out$lung <- form(l, Surv(time, event) ~ sex, "age", unname(quantile(l$age, c(.05, .275, .5, .725, .95))), 60, c(45, 60, 75))
# a covariate of three categories, and all covariates together
d$risk <- factor(c("no", "not_assessable", "yes")[1 + (d$unit * 7) %% 3], c("no", "not_assessable", "yes"))
f <- coxph(Surv(entry, exit, event) ~ risk + leak + age, d, cluster = patient, control = tight)
out$categories <- list(risk = wald(coef(f)[1:2], vcov(f)[1:2, 1:2]), leak = wald(coef(f)[3], vcov(f)[3, 3]),
                       age = wald(coef(f)[4], vcov(f)[4, 4]), GLOBAL = wald(coef(f), vcov(f)))
made <- list(made_by = "splines.R", inputs = paste0("data/", c("clustered", "lung"), ".csv"), R = as.character(getRversion()),
             packages = lapply(c(survival = "survival", Hmisc = "Hmisc"), function(k) as.character(packageVersion(k))), outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "splines.json")
