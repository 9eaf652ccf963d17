# Few events: Firth's penalized logistic and Cox regression by numerical maximization, and exact conditional ratios.
# Nothing here uses a formula for the penalized score: a penalized likelihood is written down (for Cox, log-likelihood
# and information are coxph's own at fixed coefficients) and climbed with numerical gradients; limits are then searched.
# Run in this folder: Rscript firth.R   (reads data/*.csv, writes firth.json)
suppressMessages({library(survival); library(jsonlite)})
d <- read.csv("data/clustered.csv"); sparse <- read.csv("data/sparse9of10.csv"); endo <- read.csv("data/endometrial.csv")
d$y <- as.integer(d$cause == 1); d$week <- ceiling(d$exit / 28) * 28; d$copies <- 1 + d$patient %% 3
all10 <- sparse; all10$event[c(700, 10)] <- 0:1       # every event among the exposed
month <- all10; month$time <- ceiling(month$time / 60) * 60  # and several on one day

# --- a maximum, and its profile, of any function f of a vector on a common scale
gradient <- function(f, b, free, h = 2e-3) {           # fourth order: the error is of the order of h^4 and 1e-13 / h
  vapply(free, function(j) { e <- replace(0 * b, j, h)
    (8 * (f(b + e) - f(b - e)) - (f(b + 2 * e) - f(b - 2 * e))) / (12 * h) }, 0)
}
hessian <- function(f, b, free, h = 1e-3) {
  H <- vapply(free, function(j) { e <- replace(0 * b, j, h); (gradient(f, b + e, free) - gradient(f, b - e, free)) / (2 * h) },
              numeric(length(free)))
  H <- matrix(H, length(free)); (H + t(H)) / 2
}
climb <- function(f, b, free) {
  if (!length(free)) return(list(b = b, value = f(b)))
  height <- function(z) { v <- f(replace(b, free, z)); if (is.finite(v)) v else -1e10 }
  for (turn in 1:3) b[free] <- optim(b[free], height, method = "BFGS", control = list(fnscale = -1, reltol = 1e-13, maxit = 500))$par
  for (turn in 1:6) { g <- gradient(f, b, free); step <- solve(hessian(f, b, free), g); b[free] <- b[free] - step
    if (max(abs(step)) < 1e-10) break }
  stopifnot(max(abs(step)) < 1e-6)
  list(b = b, value = f(b))
}
penalized <- function(f, p, unit, names, information) {
  fit <- climb(f, numeric(p), seq_len(p)); se <- sqrt(diag(solve(information(fit$b))))
  along <- function(j, v, from) climb(f, replace(from, j, v), setdiff(seq_len(p), j))
  limit <- function(j, side) { from <- fit$b
    drop <- function(v) { z <- along(j, v, from); from <<- z$b; 2 * (fit$value - z$value) - qchisq(0.95, 1) }
    reach <- 2; while (drop(fit$b[j] + side * reach * se[j]) < 0) reach <- reach * 1.5
    uniroot(drop, sort(fit$b[j] + side * c(1, reach) * se[j]), tol = 1e-11)$root }
  list(term = names, coef = fit$b / unit, se = se / unit, low = sapply(seq_len(p), limit, -1) / unit,
       high = sapply(seq_len(p), limit, 1) / unit, lrt = sapply(seq_len(p), function(j) 2 * (fit$value - along(j, 0, fit$b)$value)),
       loglik = fit$value + sum(log(unit)))               # the determinant in the units of the covariates
}

# --- logistic: terms by their own units; the intercept is that of the covariates as they are, not centred
logit <- function(form, z, w = rep(1, nrow(z))) {
  X <- model.matrix(form, z); y <- z[[all.vars(form)[1]]]; unit <- c(1, apply(X[, -1, drop = FALSE], 2, sd))
  S <- sweep(X, 2, unit, "/")
  I <- function(b) { p <- plogis(drop(S %*% b)); crossprod(S * sqrt(w * p * (1 - p))) }
  f <- function(b) { e <- drop(S %*% b); sum(w * (y * e - log1p(exp(e)))) + as.numeric(determinant(I(b))$modulus) / 2 }
  penalized(f, ncol(S), unit, colnames(X), I)
}
# --- Cox: log-likelihood and information at fixed coefficients as survival gives them
hazard <- function(surv, z, covariates, ties, w = NULL, strata = NULL) {
  X <- as.matrix(z[, covariates, drop = FALSE]); unit <- apply(X, 2, sd); X <- scale(X, scale = unit)
  fit <- if (ncol(surv) == 3) agreg.fit else coxph.fit
  at <- function(b) fit(X, surv, strata, NULL, b, coxph.control(iter.max = 0), w, ties, as.character(seq_len(nrow(X))))
  I <- function(b) solve(at(b)$var)
  f <- function(b) { z <- at(b); z$loglik[1] - as.numeric(determinant(z$var)$modulus) / 2 }
  penalized(f, ncol(X), unit, covariates, I)
}
late <- Surv(d$entry, d$exit, d$y); weeks <- Surv(d$entry, d$week, d$y)
again <- d[rep(seq_len(nrow(d)), d$copies), ]
both <- c("leak", "age"); three <- c("exposed", "age", "male")

# --- exact: the distribution of the exposed events given the margins, from R's own densities
exact <- function(density, x, support) {               # density(theta): probabilities of `support` at log ratio theta
  up <- function(t, mid = 0) { p <- density(t); sum(p[support > x]) + (1 - mid / 2) * p[support == x] }
  down <- function(t, mid = 0) { p <- density(t); sum(p[support < x]) + (1 - mid / 2) * p[support == x] }
  solve <- function(g) uniroot(g, c(-30, 30), tol = 1e-13)$root
  lowest <- x == min(support); highest <- x == max(support)
  lo <- function(a, mid) if (lowest) -Inf else solve(function(t) up(t, mid) - a)
  hi <- function(a, mid) if (highest) Inf else solve(function(t) down(t, mid) - a)
  p <- density(0)
  half <- c(lo(0.5, 0), hi(0.5, 0)); middle <- if (lowest) half[2] else if (highest) half[1] else mean(half)
  list(coef = if (lowest) -Inf else if (highest) Inf else solve(function(t) sum(support * density(t)) - x),
       ci = c(lo(0.025, 0), hi(0.025, 0)), mid_p_ci = c(lo(0.025, 1), hi(0.025, 1)),
       p = sum(p[p <= p[support == x] * (1 + 1e-7)]), central_p = min(1, 2 * min(up(0), down(0))),
       mid_p = min(1, 2 * min(up(0, 1), down(0, 1))), median = middle)
}
tilt <- function(logw, support, theta) { z <- logw + support * theta; z <- exp(z - max(z)); z / sum(z) }
fold <- function(parts) Reduce(function(a, b) { r <- numeric(length(a) + length(b) - 1)
  for (i in seq_along(b)) r[i - 1 + seq_along(a)] <- r[i - 1 + seq_along(a)] + a * b[i]; r }, parts)
tables <- function(v) array(v, c(2, 2, length(v) / 4))  # exposed/not by event/not
odds <- function(v) {
  a <- tables(v); K <- dim(a)[3]
  s <- lapply(seq_len(K), function(k) { m <- sum(a[1, , k]); n <- sum(a[2, , k]); t <- sum(a[, 1, k])
    x <- max(0, t - n):min(t, m); list(x = x, w = dhyper(x, m, n, t, log = TRUE)) })
  low <- sum(sapply(s, function(z) min(z$x))); size <- sum(sapply(s, function(z) length(z$x) - 1))
  exact(function(t) fold(lapply(s, function(z) tilt(z$w, z$x, t))), sum(a[1, 1, ]), low + 0:size)
}
rates <- function(v) {                                 # events and time of the exposed, events and time of the rest
  a <- matrix(v, 4); s <- apply(a, 2, function(z) list(x = 0:(z[1] + z[3]), w = dbinom(0:(z[1] + z[3]), z[1] + z[3], z[2] / (z[2] + z[4]), log = TRUE)))
  exact(function(t) fold(lapply(s, function(z) tilt(z$w, z$x, t))), sum(a[1, ]), 0:sum(a[c(1, 3), ]))
}
own <- function(f) list(or = unname(f$estimate), ci = as.numeric(f$conf.int), p = f$p.value)
one <- list(nine_of_ten = c(9, 1, 591, 1199), none = c(0, 10, 600, 1190), all = c(10, 0, 590, 1200), even = c(5, 7, 20, 31),
            many = c(300, 210, 700, 1300))
strata <- list(three = c(4, 1, 100, 150, 3, 0, 200, 250, 2, 1, 80, 300), two = c(2, 3, 8, 9, 5, 1, 6, 12),
               none = c(0, 2, 10, 30, 0, 1, 20, 10))
times <- list(one = c(9, 1100.5, 1, 2300), none = c(0, 900, 5, 1500), equal = c(4, 100, 4, 100), many = c(320, 5000, 290, 7000))
layers <- list(two = c(4, 210, 1, 480, 3, 150.5, 0, 300), three = c(1, 40, 2, 90, 0, 10, 0, 20, 5, 60, 3, 200))
exact_tests <- function(v) if (length(v) == 4) own(fisher.test(matrix(v, 2))) else own(mantelhaen.test(tables(v), exact = TRUE))
pois <- function(v) { f <- poisson.test(v[c(1, 3)], v[c(2, 4)]); own(f) }
out <- list(
  logistic_9of10 = logit(event ~ exposed + age + male, sparse),
  logistic_10of10 = logit(event ~ exposed + age + male, all10),
  logistic_endo = logit(event ~ NV + PI + EH, endo),
  logistic_weight = logit(y ~ leak + age, d, d$w),
  logistic_copies = logit(y ~ leak + age, again),
  cox_9of10 = hazard(Surv(sparse$time, sparse$event), sparse, three, "efron"),
  cox_10of10_efron = hazard(Surv(month$time, month$event), month, three, "efron"),
  cox_10of10_breslow = hazard(Surv(month$time, month$event), month, three, "breslow"),
  cox_entry_efron = hazard(late, d, both, "efron"),
  cox_entry_breslow = hazard(late, d, both, "breslow"),
  cox_week_efron = hazard(weeks, d, both, "efron"),
  cox_week_strata_efron = hazard(weeks, d, both, "efron", strata = as.integer(factor(d$site))),
  cox_week_strata_weight_efron = hazard(weeks, d, both, "efron", d$w, as.integer(factor(d$site))),
  cox_week_strata_weight_breslow = hazard(weeks, d, both, "breslow", d$w, as.integer(factor(d$site))),
  cox_week_copies_efron = hazard(weeks[rep(seq_len(nrow(d)), d$copies)], again, both, "efron"),
  odds = lapply(one, odds), odds_strata = lapply(strata, odds), rates = lapply(times, rates), rates_strata = lapply(layers, rates),
  fisher_test = lapply(one, exact_tests), mantelhaen_test = lapply(strata, exact_tests), poisson_test = lapply(times, pois)
)
made <- list(script = "firth.R", data = "data/clustered.csv, data/sparse9of10.csv, data/endometrial.csv", R = as.character(getRversion()),
             packages = list(survival = as.character(packageVersion("survival"))),
             inputs = list(odds = one, odds_strata = strata, rates = times, rates_strata = layers), outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, na = "string"), "firth.json")
