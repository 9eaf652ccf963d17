# GEE, mixed logistic, negative binomial, observed over expected and standardized risks. Run in this folder after
# reference.R and aalen_johansen.R, which write the data: Rscript risks.R   (writes risks.json)
suppressMessages({library(survival); library(geepack); library(lme4); library(numDeriv); library(MASS); library(sandwich)
  library(riskRegression); library(jsonlite)})
ohio <- read.csv("data/ohio.csv"); cbpp <- read.csv("data/cbpp.csv"); d <- read.csv("data/clustered.csv")
vertebrae <- read.csv("data/recurrent_vertebrae.csv")
d$y <- as.integer(d$cause == 1); d$days <- d$exit - d$entry
named <- function(x) as.list(x)

## GEE: geeglm converged to 1e-13 (its default stops at a change of 1e-4)
tight <- geese.control(epsilon = 1e-13, maxit = 500)
gee <- function(f, data, id, corstr, prior = rep(1, nrow(data)), place = NULL) {
  data$cluster_of <- id; data$prior <- prior  # geeglm looks for them in the data
  data$place <- if (is.null(place)) ave(seq_along(id), id, FUN = seq_along) else place
  z <- suppressWarnings(geeglm(f, binomial, data, id = cluster_of, waves = place, weights = prior, corstr = corstr,
                               control = tight))
  list(coef = named(coef(z)), se = sqrt(diag(z$geese$vbeta)), naive = sqrt(diag(z$geese$vbeta.naiv)),
       alpha = unname(z$geese$alpha), scale = unname(z$geese$gamma))
}
d$visit <- ave(d$unit, d$patient, FUN = seq_along)
gaps <- d[d$visit != 2 | d$patient %% 2 == 0, ]  # half of the patients lack their second vertebra
structures <- c("independence", "exchangeable", "ar1")
ohio_gee <- sapply(structures, function(s) gee(resp ~ age + smoke, ohio, ohio$id, s), simplify = FALSE)
clustered_gee <- sapply(structures, function(s) gee(y ~ leak + age, d, d$patient, s), simplify = FALSE)
weighted_gee <- sapply(structures, function(s) gee(y ~ leak + age, d, d$patient, s, d$w), simplify = FALSE)
gee_out <- list(ohio = ohio_gee, clustered = clustered_gee, weighted = weighted_gee,
                gaps_ar1 = gee(y ~ leak + age, gaps, gaps$patient, "ar1", place = gaps$visit))

## Mixed logistic: glmer pushed to its maximum, errors by the Hessian of its own deviance (numDeriv)
control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13, check.conv.grad = "ignore", check.conv.hess = "ignore",
                        optCtrl = list(rhobeg = 2e-3, rhoend = 1e-10, maxfun = 1e5))
mixed <- function(f, data, q) {
  g <- glmer(f, data, binomial, nAGQ = q, control = control)
  deviance <- update(g, devFunOnly = TRUE)
  h <- hessian(deviance, c(g@theta, fixef(g)))
  list(coef = named(fixef(g)), se = sqrt(diag(2 * solve(h)))[-1], sd = g@theta, loglik = as.numeric(logLik(g)))
}
q <- c(1, 9, 25); names(q) <- paste0("agq", q)
mixed_out <- list(
  cbpp = lapply(q, function(k) mixed(cbind(incidence, size - incidence) ~ factor(period) + (1 | herd), cbpp, k)),
  ohio = lapply(q, function(k) mixed(resp ~ age + smoke + (1 | id), ohio, k)))

## Negative binomial: events of all vertebrae of a patient; and by vertebra, clustered by patient
total <- aggregate(cbind(n = event, days = exit - entry) ~ patient, vertebrae, sum)
total <- merge(total, vertebrae[!duplicated(vertebrae$patient), c("patient", "leak", "age", "site")])
each <- aggregate(cbind(n = event, days = exit - entry) ~ vertebra + patient, vertebrae, sum)
each <- merge(each, vertebrae[!duplicated(vertebrae$vertebra), c("vertebra", "leak", "age", "site")])
nb <- function(data, id = NULL) {
  g <- glm.nb(n ~ leak + age + site + offset(log(days)), data, control = glm.control(epsilon = 1e-14, maxit = 500))
  p <- glm(n ~ leak + age + site + offset(log(days)), poisson, data)
  mu <- fitted(g); th <- g$theta; y <- data$n  # theta.ml's own error is that of its step before the last
  info <- sum(trigamma(th) - trigamma(y + th) - 1 / th + 2 / (mu + th) - (y + th) / (mu + th)^2)
  list(coef = named(coef(g)), se_naive = unname(sqrt(diag(vcov(g)))), theta = th, se_theta = 1 / sqrt(info), se_theta_printed = g$SE.theta,
       loglik = as.numeric(logLik(g)), dispersion = sum(residuals(p, "pearson")^2) / p$df.residual,
       se = if (!is.null(id)) unname(sqrt(diag(vcovCL(g, id, type = "HC0", cadjust = FALSE)))))
}
nb_out <- list(patients = nb(total), vertebrae = nb(each, each$patient))

## Observed over expected
midp <- function(x, e) {
  up <- function(m) ppois(x, m, lower.tail = FALSE) + dpois(x, m) / 2 - 0.025
  down <- function(m) ppois(x, m) - dpois(x, m) / 2 - 0.025
  c(if (x == 0) 0 else uniroot(up, c(0, x), tol = 1e-14)$root, uniroot(down, c(x, 3 * x + 10), tol = 1e-14)$root) / e
}
byar <- function(x, e) { z <- qnorm(0.975)
  c(if (x == 0) 0 else x * (1 - 1 / (9 * x) - z / (3 * sqrt(x)))^3, (x + 1) * (1 - 1 / (9 * (x + 1)) + z / (3 * sqrt(x + 1)))^3) / e }
ratios <- lapply(list(c(0, 2.5), c(1, 0.4), c(11, 8.2), c(60, 71.5)), function(k) list(observed = k[1], expected = k[2],
  exact = as.numeric(poisson.test(k[1], k[2])$conf.int), mid_p = midp(k[1], k[2]), byar = byar(k[1], k[2])))
d$old <- as.integer(d$age >= 74)
own <- tapply(d$y, list(d$old, d$leak), sum) / tapply(d$days, list(d$old, d$leak), sum)
d$expected <- d$days * own[cbind(d$old + 1, d$leak + 1)]
by_site <- lapply(split(d, d$site), function(z) {
  o <- sum(z$y); e <- sum(z$expected)
  g <- glm(y ~ 1 + offset(log(expected)), poisson, z, control = glm.control(epsilon = 1e-14))
  list(observed = o, expected = e, exact = as.numeric(poisson.test(o, e)$conf.int), log_ratio = unname(coef(g)),
       se = unname(sqrt(vcovCL(g, z$patient, type = "HC0", cadjust = FALSE)[1, 1])))
})
ratio_out <- list(limits = ratios, by_site = by_site)

## Standardized risks. The error is the derivative of the whole estimator by the weight of each patient, by central
## differences: losses, model and population all follow the weights. Beside it the plain leave-one-patient-out jackknife.
z <- d[d$entry == 0, ]
losses <- function(z, s, h) {
  lost <- z$cause == 0
  km <- survfit(Surv(z$exit + 0.5 * lost, lost) ~ 1, weights = s)
  before <- function(t) c(1, km$surv)[1 + findInterval(t, km$time, left.open = TRUE)]
  ifelse(!lost | z$exit >= h, 1 / before(pmin(z$exit, h)), 0)
}
by_logistic <- function(f, h, known = FALSE) {
  fixed <- NULL
  function(z, s) {
    z$y <- as.integer(z$cause == 1 & z$exit <= h)
    g <- if (!is.null(fixed)) fixed[as.character(z$unit)] else losses(z, s, h)
    if (known && is.null(fixed)) { fixed <<- setNames(g, z$unit) }
    z$W <- g * s
    m <- suppressWarnings(glm(f, binomial, z[z$W > 0, ], weights = W, control = glm.control(epsilon = 1e-15, maxit = 200)))
    one <- predict(m, transform(z, leak = 1), type = "response"); none <- predict(m, transform(z, leak = 0), type = "response")
    c(sum(s * one), sum(s * none)) / sum(s)
  }
}
by_cox <- function(f1, f2, h, ties = "efron") function(z, s) {
  z$s <- s
  tight <- coxph.control(eps = 1e-10, iter.max = 100)  # tighter, rounding makes it halve its last step
  fit <- list(coxph(update(Surv(entry, exit, cause == 1) ~ ., f1), z, weights = s, ties = ties, control = tight),
              coxph(update(Surv(entry, exit, cause == 2) ~ ., f2), z, weights = s, ties = ties, control = tight))
  one <- lapply(fit, function(m) survfit(m, newdata = data.frame(leak = 0, age = 0)))
  times <- sort(unique(z$exit[z$cause > 0 & z$exit <= h]))
  jumps <- sapply(one, function(c) diff(c(0, stepfun(c$time, c(0, c$cumhaz))(times))))
  risk <- function(leak) {
    r <- sapply(fit, function(m) exp(coef(m)["leak"] * leak + coef(m)["age"] * z$age))
    sapply(seq_len(nrow(z)), function(i) {
      each <- sweep(jumps, 2, r[i, ], "*"); total <- rowSums(each); free <- c(1, exp(-cumsum(total)))[seq_along(total)]
      sum(free * ifelse(total > 0, (1 - exp(-total)) / total, 1) * each[, 1])
    })
  }
  c(sum(s * risk(1)), sum(s * risk(0))) / sum(s)
}
four <- function(r) c(r[1], r[2], r[1] - r[2], log(r[1] / r[2]))
influence <- function(estimator, z, s, jackknife = TRUE, eps = 1e-4) {
  all <- four(estimator(z, s))
  slope <- sapply(unique(z$patient), function(p) {
    i <- z$patient == p
    at <- function(e) four(estimator(z, ifelse(i, s * (1 + e), s)))
    (8 * (at(eps) - at(-eps)) - (at(2 * eps) - at(-2 * eps))) / (12 * eps)
  })
  left <- if (jackknife) sapply(unique(z$patient), function(p) { i <- z$patient != p; four(estimator(z[i, ], s[i])) })
  n <- length(unique(z$patient))
  list(estimate = all, se = sqrt(rowSums(slope^2)),
       jackknife = if (jackknife) sqrt((n - 1) / n * rowSums((left - rowMeans(left))^2)))
}
one <- rep(1, nrow(z))
# riskRegression takes S(t-) dL for a day's share, we (1 - exp(-dL)) of it: the same for many small jumps.
m <- read.csv("data/melanoma.csv"); m$ulcer_f <- factor(m$ulcer)
a <- suppressWarnings(ate(CSC(Hist(time, status) ~ ulcer_f + age + sexm, data = m), treatment = "ulcer_f", data = m,
                          times = 1825, cause = 1, product.limit = FALSE, se = TRUE, verbose = FALSE))
of_ate <- list(risk = a$meanRisk$estimate, se = a$meanRisk$se, difference = a$diffRisk$estimate, difference_se = a$diffRisk$se,
               ratio = a$ratioRisk$estimate)
risk_out <- list(
  logistic_40 = influence(by_logistic(y ~ leak + age, 40), z, one),
  logistic_90 = influence(by_logistic(y ~ leak + age, 90), z, one),
  logistic_90_weighted = influence(by_logistic(y ~ leak + age, 90), z, z$w, jackknife = FALSE),
  logistic_90_known = influence(by_logistic(y ~ leak + age, 90, known = TRUE), z, one, jackknife = FALSE),
  logistic_90_crude = influence(by_logistic(y ~ leak, 90), z, one, jackknife = FALSE),
  cox_90 = influence(by_cox(~ leak + age, ~ leak + age, 90), z, one),
  cox_90_entry = influence(by_cox(~ leak + age, ~ leak + age, 90), d, rep(1, nrow(d)), jackknife = FALSE),
  cox_90_entry_weighted = influence(by_cox(~ leak + age, ~ leak + age, 90), d, d$w, jackknife = FALSE),
  cox_90_breslow = influence(by_cox(~ leak + age, ~ leak + age, 90, "breslow"), z, one, jackknife = FALSE),
  ate_melanoma = of_ate)

used <- c("survival", "geepack", "lme4", "numDeriv", "MASS", "sandwich", "riskRegression")
made <- list(script = "risks.R", data = "data/ohio.csv, cbpp.csv, clustered.csv, recurrent_vertebrae.csv, melanoma.csv",
             R = as.character(getRversion()), packages = sapply(used, function(p) as.character(packageVersion(p)), simplify = FALSE),
             outputs = list(gee = gee_out, mixed = mixed_out, negative_binomial = nb_out, observed_expected = ratio_out,
                            standardized = risk_out))
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "risks.json")
