# Interval-censored times: Turnbull's curve (survfit run to convergence) and Weibull regression (survreg; with late entry
# the likelihood written out). Run in this folder after aalen_johansen.R: Rscript interval_censored.R
suppressMessages({library(survival); library(numDeriv); library(jsonlite)})
ic <- read.csv("data/lung_ic.csv"); v <- read.csv("data/veteran.csv"); d <- read.csv("data/clustered.csv")
d$days <- d$exit - d$entry
# Looks every 14 or 28 days; every fifth unit's day is known.
look <- function(z, day) {
  step <- 14 * (1 + z$unit %% 2)
  known <- z$unit %% 5 == 0
  z$low <- ifelse(z$cause == 1, ifelse(known, day, floor((day - 1) / step) * step), day)
  z$high <- ifelse(z$cause == 1, ifelse(known, day, z$low + step), Inf)
  z
}
from0 <- look(d, d$days)

# --- Turnbull. survfit stops where the curve moves less than 5e-5; the same code with another number goes on.
source_text <- gsub("5e-05", "1e-14", deparse(survival:::survfitTurnbull), fixed = TRUE)
converged <- eval(parse(text = source_text), envir = asNamespace("survival"))
curve <- function(L, R, at, w = rep(1, length(L)), exactly = TRUE) {
  y <- Surv(ifelse(L > 0, L, NA), ifelse(is.finite(R), R, NA), type = "interval2")
  s <- if (exactly) converged(factor(rep(1, length(L))), y, w, se.fit = FALSE, robust = FALSE, cluster = NULL)
       else survfit(y ~ 1, weights = w)
  list(time = at, surv = c(1, s$surv)[1 + findInterval(at, s$time)])
}
# A second way: plain EM over all intervals between neighbouring bounds that no bound divides.
em <- function(L, R, at, w = rep(1, length(L)), steps = 20000) {
  cut <- sort(unique(c(0, L, R)))
  low <- c(cut, head(cut, -1)); high <- c(cut, tail(cut, -1))  # the days themselves, then the open gaps with their ends
  inside <- outer(seq_along(L), seq_along(low), function(i, j)
    ifelse(L[i] == R[i], low[j] == L[i] & high[j] == L[i], low[j] >= L[i] & high[j] <= R[i] & (low[j] < high[j] | low[j] > L[i])))
  p <- rep(1 / length(low), length(low))
  for (k in seq_len(steps)) p <- p * colSums(w * inside / drop(inside %*% p)) / sum(w)
  fit <- sum(w * log(drop(inside %*% p)))
  list(time = at, surv = sapply(at, function(t) 1 - sum(p[high <= t])), loglik = fit)
}
grid <- c(60, 120, 180, 300, 420, 600, 780, 960)
read_at <- c(7, 14, 21, 28, 42, 50, 56, 70, 84, 112, 140)
events14 <- c(14, 28, 42, 56, 70, 84, 112, 140)
turnbull <- list(
  lung_default = curve(ic$L, ic$R, head(grid, 7), exactly = FALSE),
  lung = curve(ic$L, ic$R, grid),
  lung_men = with(ic[ic$sex == 1, ], curve(L, R, grid)),
  lung_women = with(ic[ic$sex == 2, ], curve(L, R, grid)),
  lung_em = em(ic$L, ic$R, grid),
  lung_inside = curve(ic$L, ic$R, c(20, 35, 44, 45, 46, 100, 110, 250, 331, 450, 700, 890)),
  looks_unknown = with(from0[from0$unit %% 5 > 0, ], curve(low, high, seq(1, 150, 3))),
  looks = with(from0, curve(low, high, read_at)),
  looks_weighted = with(from0, curve(low, high, read_at, w)),
  looks_em = with(from0, em(low, high, events14)),
  looks_weighted_em = with(from0, em(low, high, events14, w))
)

# --- Weibull without late entry: survreg, run to convergence.
tight <- survreg.control(rel.tolerance = 1e-14, toler.chol = 1e-14, maxiter = 200)
read <- function(s) list(coef = unname(c(coef(s), log(s$scale))), se = unname(sqrt(diag(s$var))), loglik = s$loglik,
                         naive = if (is.null(s$naive.var)) NULL else unname(sqrt(diag(s$naive.var))))
bounds <- function(z) Surv(ifelse(z$low > 0, z$low, NA), ifelse(is.finite(z$high), z$high, NA), type = "interval2")
ic2 <- Surv(ifelse(ic$L > 0, ic$L, NA), ifelse(is.finite(ic$R), ic$R, NA), type = "interval2")
from0$y <- bounds(from0)
left <- transform(from0, low = ifelse(low < high & is.finite(high), 0, low))  # found at the first look, or not yet
wide <- survreg(ic2 ~ age + sex, ic, control = tight)
# survreg(weights, cluster) sums residuals without their weights: its robust error would be that of unweighted rows around
# a weighted fit. The sandwich of the weighted residuals is taken instead, and R's own kept beside it.
weighted_sandwich <- function(z) {
  s <- survreg(bounds(z) ~ leak + age, z, weights = w, cluster = patient, robust = TRUE, control = tight)
  u <- rowsum(residuals(s, type = "dfbeta", weighted = TRUE), z$patient)
  stopifnot(max(abs(rowsum(residuals(s, type = "dfbeta"), z$patient) |> crossprod() - s$var)) < 1e-12)
  c(within(read(s), { survreg_se <- se; se <- unname(sqrt(diag(crossprod(u)))) }))
}
# Survival of two profiles at four days, limits by the delta method on log(-log S).
at_days <- c(30, 180, 365, 900)
profile <- function(s, x) {
  z <- (log(at_days) - sum(coef(s) * x)) / s$scale
  g <- cbind(matrix(-x / s$scale, length(at_days), length(x), byrow = TRUE), -z)
  se <- sqrt(rowSums((g %*% s$var) * g)); q <- qnorm(0.975)
  list(surv = exp(-exp(z)), lower = exp(-exp(z + q * se)), upper = exp(-exp(z - q * se)), se = exp(-exp(z)) * exp(z) * se)
}
weibull <- list(
  lung = read(wide),
  lung_profiles = list(profile(wide, c(1, 60, 1)), profile(wide, c(1, 75, 2))),
  veteran = read(survreg(Surv(time, status) ~ trt + karno + age, v, control = tight)),
  days_cluster = read(survreg(Surv(days, cause == 1) ~ leak + age, d, cluster = patient, robust = TRUE, control = tight)),
  looks = read(survreg(y ~ leak + age, from0, control = tight)),
  looks_weight = read(survreg(y ~ leak + age, from0, weights = w, control = tight)),
  looks_site = read(survreg(y ~ factor(site) + leak, from0, control = tight)),
  left_cluster = read(survreg(bounds(left) ~ leak + age, left, cluster = patient, robust = TRUE, control = tight)),
  left_cluster_weight = weighted_sandwich(left),
  survreg_looks_cluster = read(survreg(y ~ leak + age, from0, cluster = patient, robust = TRUE, control = tight))
)
# survreg's residuals have the wrong sign in the log scale for rows between two finite bounds: at the maximum they do not
# add to zero, and its robust error is off. So clustered intervals are held against the sandwich below, written out.
residual <- colSums(residuals(survreg(y ~ leak + age, from0, control = tight), type = "dfbeta"))
weibull$survreg_residual_sum <- unname(residual)
stopifnot(abs(residual[4]) > 0.1)
stopifnot(max(abs(colSums(residuals(survreg(bounds(left) ~ leak + age, left, control = tight), type = "dfbeta")))) < 1e-6)

# --- Weibull with late entry: survreg has none, so the likelihood is written out in survreg's own parameters.
late <- function(z, w = rep(1, nrow(z)), cluster = NULL) {
  x <- cbind(1, z$leak, z$age - 74)
  rows <- function(theta) {
    s <- exp(theta[4]); eta <- drop(x %*% theta[1:3])
    H <- function(t) ifelse(t > 0, exp((log(pmax(t, 1e-300)) - eta) / s), 0)
    exact <- z$low == z$high; open <- is.infinite(z$high)
    zt <- (log(ifelse(open, 1, z$high)) - eta) / s
    ifelse(exact, zt - exp(zt) - theta[4] - log(ifelse(open, 1, z$high)),
           ifelse(open, -H(z$low), log(exp(-H(z$low)) - exp(-ifelse(open, 1e9, H(ifelse(open, 1, z$high))))))) + H(z$entry)
  }
  f <- function(theta) -sum(w * rows(theta))
  o <- optim(c(5, 0, 0, 0), f, method = "BFGS", control = list(reltol = 1e-15, maxit = 2000))
  theta <- o$par
  for (k in 1:5) theta <- theta - solve(hessian(f, theta), grad(f, theta))
  inverse <- solve(hessian(f, theta)); u <- jacobian(rows, theta) * w
  sums <- if (is.null(cluster)) u else rowsum(u, cluster)
  # Back from age - 74 to age.
  back <- diag(4); back[1, 3] <- -74
  list(coef = drop(back %*% theta), naive = sqrt(diag(back %*% inverse %*% t(back))),
       se = sqrt(diag(back %*% inverse %*% crossprod(sums) %*% inverse %*% t(back))), loglik = -f(theta))
}
onto <- look(d, d$exit); onto$low <- ifelse(onto$cause == 1, pmax(onto$low, onto$entry), onto$low)
plain <- d; plain$low <- d$exit; plain$high <- ifelse(d$cause == 1, d$exit, Inf)
weibull$late_days <- late(plain, cluster = d$patient)
weibull$late_looks <- late(onto, cluster = d$patient)
weibull$late_looks_weight <- late(onto, d$w, d$patient)
start <- transform(from0, entry = 0)
weibull$looks_cluster <- late(start, cluster = d$patient)
weibull$looks_cluster_weight <- late(start, d$w, d$patient)
weibull$late_way_of_left_cluster <- late(transform(left, entry = 0), cluster = d$patient)

made <- list(script = "interval_censored.R", data = "data/lung_ic.csv, data/veteran.csv, data/clustered.csv",
             R = as.character(getRversion()),
             packages = list(survival = as.character(packageVersion("survival")), numDeriv = as.character(packageVersion("numDeriv"))),
             at_days = at_days, outputs = list(turnbull = turnbull, weibull = weibull))
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "interval_censored.json")
