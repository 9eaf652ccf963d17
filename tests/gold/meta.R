# Meta-analysis: metafor's own answers for effects, rates and proportions, converged, and the likelihood by integrate().
# Run in this folder: Rscript meta.R   (reads data/pritz.csv, writes meta.json; the simulated studies are in the json)
suppressMessages({library(metafor); library(lme4); library(jsonlite)})
set.seed(20240611)
tight <- list(threshold = 1e-14, maxiter = 10000, tol = 1e-15)
k <- 14
size <- round(exp(runif(k, 3.5, 6.5)))
trials <- data.frame(study = sprintf("S%02d", 1:k), tier = rep(c("clinical", "radiographic"), c(6, 8)),
                     year = sample(2001:2020, k), size, sei = round(2.1 / sqrt(size), 4))
trials$yi <- round(rnorm(k, 0.25 + 0.25 * (trials$tier == "radiographic"), 0.3) + rnorm(k, 0, trials$sei), 4)
trials$xi <- rbinom(k, size, plogis(rnorm(k, -2.2, 0.7)))
trials$ti <- round(size * runif(k, 0.8, 2.5), 1)
trials$di <- rpois(k, trials$ti * exp(rnorm(k, -2.5, 0.5)))
trials$di[3] <- 0; trials$xi[5] <- 0
out <- list(studies = trials)

pooled <- function(z) {
  own <- predict(z); riley <- predict(z, pi.type = "riley")
  list(b = as.numeric(z$beta), se = z$se, low = z$ci.lb, high = z$ci.ub, stat = z$zval, p = z$pval, tau2 = z$tau2,
       I2 = z$I2 / 100, H2 = z$H2, Q = z$QE, Qp = z$QEp, ll = as.numeric(logLik(z)),
       pi = c(own$pi.lb, own$pi.ub), riley = c(riley$pi.lb, riley$pi.ub))
}
for (method in c("REML", "ML", "DL", "PM")) for (test in c("z", "t", "knha", "adhoc")) {
  z <- rma(yi, sei = sei, data = trials, method = method, test = test, control = tight)
  found <- pooled(z)
  if (test == "knha") {
    ci <- confint(z, control = list(tol = 1e-14))$random
    found$tau2_ci <- ci["tau^2", 2:3]; found$I2_ci <- ci["I^2(%)", 2:3] / 100
    found$weight <- as.numeric(weights(z)) / 100; found$blup <- blup(z)$pred
    found$leave <- as.list(as.data.frame(leave1out(z))[c("estimate", "se", "ci.lb", "ci.ub", "Q", "tau2", "I2", "H2")])
    inf <- influence(z)
    found$influence <- c(unclass(inf$inf)[c("rstudent", "dffits", "cook.d", "cov.r", "hat")],
                         list(dfbs = inf$dfbs$intrcpt, is = as.integer(inf$is.infl)))
  }
  out$effects[[paste(method, test, sep = "_")]] <- found
}
z <- rma(yi, sei = sei, data = trials, method = "EE"); f <- pooled(z); out$effects$fixed_z <- f[setdiff(names(f), c("pi", "riley"))]
z <- rma(yi, sei = sei, data = trials, method = "EE", test = "t"); f <- pooled(z); out$effects$fixed_t <- f[setdiff(names(f), c("pi", "riley"))]
z <- rma(yi, sei = sei, data = trials, method = "REML", test = "knha", level = 90, control = tight); out$level90 <- pooled(z)

groups <- lapply(split(trials, trials$tier), function(d) rma(yi, sei = sei, data = d, method = "REML", test = "knha", control = tight))
between <- rma(sapply(groups, function(z) z$beta), sei = sapply(groups, function(z) z$se), method = "EE")
out$subgroups <- list(each = lapply(groups, pooled), Q = between$QE, p = between$QEp)

# Edges: two studies; studies as alike as can be with an empty interval of tau2.
two <- trials[c(2, 9), ]; out$two <- c(pooled(rma(yi, sei = sei, data = two, test = "knha", control = tight)), list(rows = c(2, 9)))
alike <- data.frame(yi = c(0.30, 0.31, 0.29, 0.305), sei = c(0.2, 0.25, 0.3, 0.22))
z <- rma(yi, sei = sei, data = alike, test = "knha", control = tight)
out$alike <- c(pooled(z), list(data = alike, tau2_ci = suppressMessages(confint(z)$random["tau^2", 2:3])))

for (test in c("z", "knha")) {
  z <- rma(yi, sei = sei, data = trials, method = "REML", test = test, control = tight)
  r <- regtest(z); l <- regtest(z, model = "lm"); s <- summary(l$fit)$coefficients
  out$egger[[test]] <- list(rma = list(stat = r$zval, p = r$pval, limit = r$est, low = r$ci.lb, high = r$ci.ub,
                                       coef = as.numeric(r$fit$beta)[2], se = r$fit$se[2]),
                            lm = list(stat = l$zval, p = l$pval, limit = as.numeric(l$est), low = l$ci.lb, high = l$ci.ub, coef = s[2, 1], se = s[2, 2]))
  m <- rma(yi, sei = sei, mods = ~ year, data = trials, method = "REML", test = test, control = tight)
  ci <- confint(m, control = list(tol = 1e-14))$random["tau^2", 2:3]
  out$regression[[test]] <- list(b = as.numeric(m$beta), se = m$se, low = m$ci.lb, high = m$ci.ub, p = m$pval, tau2 = m$tau2, tau2_ci = ci,
                                 R2 = m$R2 / 100, QM = m$QM, QMp = m$QMp, QE = m$QE, QEp = m$QEp, I2 = m$I2 / 100)
}
m <- rma(yi, sei = sei, mods = ~ year + tier, data = trials, method = "DL", test = "knha")
out$regression$two <- list(b = as.numeric(m$beta), se = m$se, p = m$pval, tau2 = m$tau2, QM = m$QM, QMp = m$QMp, QMdf = m$QMdf)

# Proportions by inverse variance.
some <- trials[trials$xi > 0, ]
for (method in c("REML", "DL", "ML", "PM")) for (test in c("z", "knha")) {
  logit <- rma(measure = "PLO", xi = xi, ni = size, data = some, method = method, test = test, control = tight)
  ft <- rma(measure = "PFT", xi = xi, ni = size, data = trials, method = method, test = test, control = tight)
  back <- predict(ft, transf = transf.ipft.hm, targs = list(ni = trials$size))
  lg <- predict(logit, transf = transf.ilogit)
  out$proportions[[paste(method, test, sep = "_")]] <- list(
    logit = c(pooled(logit), list(read = c(lg$pred, lg$ci.lb, lg$ci.ub, lg$pi.lb, lg$pi.ub))),
    ft = c(pooled(ft), list(read = c(back$pred, back$ci.lb, back$ci.ub, back$pi.lb, back$pi.ub), y = as.numeric(ft$yi), v = ft$vi)))
}
r <- regtest(rma(measure = "PFT", xi = xi, ni = size, data = trials, method = "REML", control = tight))
s <- regtest(rma(measure = "PLO", xi = xi, ni = size, data = some, method = "REML", control = tight), predictor = "sqrtninv")
out$egger_proportions <- list(ft = list(stat = r$zval, p = r$pval), logit_size = list(stat = s$zval, p = s$pval))

# Rates by inverse variance.
born <- trials[trials$di > 0, ]
z <- rma(measure = "IRLN", xi = di, ti = ti, data = born, method = "REML", test = "knha", control = tight)
out$log_rates <- c(pooled(z), list(read = exp(c(z$beta, z$ci.lb, z$ci.ub))))

# Likelihoods of counts. rma.glmm fits by glmer, here with its optimizer run on; what it calls ll is not the marginal
# log-likelihood but that given the studies' modes (deviance() of a glmer), so the marginal one is integrated here.
control <- list(glmerCtrl = list(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.1, rhoend = 1e-12), boundary.tol = 0))
glmm <- function(measure, d, test = "z", points = 7) {
  z <- if (measure == "PLO") rma.glmm(measure = "PLO", xi = xi, ni = ni, data = d, test = test, nAGQ = points, control = control)
       else rma.glmm(measure = "IRLN", xi = xi, ti = ni, data = d, test = test, nAGQ = points, control = control)
  own <- predict(z); riley <- predict(z, pi.type = "riley")
  list(b = as.numeric(z$beta), se = z$se, low = z$ci.lb, high = z$ci.ub, tau2 = z$tau2, I2 = z$I2 / 100, H2 = z$H2, Q = z$QE.LRT,
       Qp = z$QEp.LRT, ll_modes = as.numeric(logLik(z)), pi = c(own$pi.lb, own$pi.ub), riley = c(riley$pi.lb, riley$pi.ub))
}
marginal <- function(measure, d, b, sd) {
  sum(mapply(function(x, n) {
    if (sd < 1e-8) return(if (measure == "PLO") dbinom(x, n, plogis(b), log = TRUE) else dpois(x, n * exp(b), log = TRUE))
    logged <- function(u) (if (measure == "PLO") dbinom(x, n, plogis(b + sd * u), log = TRUE) else dpois(x, n * exp(b + sd * u), log = TRUE)) + dnorm(u, log = TRUE)
    top <- suppressWarnings(optimize(logged, c(-12, 12), maximum = TRUE, tol = 1e-10))
    breaks <- top$maximum + c(-12, -4, -1.5, -0.5, -0.15, 0, 0.15, 0.5, 1.5, 4, 12)
    parts <- mapply(function(from, to) integrate(function(u) exp(logged(u) - top$objective), from, to, rel.tol = 1e-11, abs.tol = 1e-14)$value,
                    head(breaks, -1), tail(breaks, -1))
    log(sum(parts)) + top$objective
  }, d$xi, d$ni))
}
likelihood <- function(measure, d, b, sd) {
  best <- optim(c(b, sd), function(p) -marginal(measure, d, p[1], abs(p[2])), method = "BFGS", control = list(reltol = 1e-15))
  top <- -best$value
  at <- function(s) optimize(function(b) marginal(measure, d, b, s), best$par[1] + c(-3, 3), maximum = TRUE, tol = 1e-10)$objective - top + qchisq(0.95, 1) / 2
  s <- abs(best$par[2])
  low <- if (s < 1e-4 || at(0) > 0) 0 else uniroot(at, c(0, s), tol = 1e-10)$root
  list(b = best$par[1], tau2 = s^2, ll = top, tau2_ci = c(low, uniroot(at, c(s, s + 6), tol = 1e-10)$root)^2)
}
pritz <- read.csv("data/pritz.csv")
sets <- list(pritz = list("PLO", pritz), events = list("PLO", data.frame(xi = trials$xi, ni = trials$size)),
             rates = list("IRLN", data.frame(xi = trials$di, ni = trials$ti)),
             few = list("PLO", data.frame(xi = c(0, 2, 1, 0, 6), ni = c(40, 55, 30, 25, 60))),
             two = list("PLO", data.frame(xi = c(2, 15), ni = c(40, 60))))
for (name in names(sets)) {
  measure <- sets[[name]][[1]]; d <- sets[[name]][[2]]
  z <- glmm(measure, d)
  out$glmm[[name]] <- c(z, list(xi = d$xi, ni = d$ni, exact = likelihood(measure, d, z$b, sqrt(z$tau2))))
}
out$glmm_t <- glmm("PLO", pritz, "t")
out$glmm_more <- list(pritz = glmm("PLO", pritz, points = 21)[c("b", "se", "tau2")], rates = glmm("IRLN", sets$rates[[2]], points = 21)[c("b", "se", "tau2")])
out$glmm_leave <- lapply(seq_len(nrow(pritz)), function(i) glmm("PLO", pritz[-i, ])[c("b", "se", "tau2")])

# A registry drawn towards the literature: the same answer as pooling it with a study that says what the prior says.
z <- rma(measure = "PLO", xi = xi, ni = size, data = some, method = "REML", control = tight)
prior <- c(as.numeric(z$beta), sqrt(z$tau2 + z$se^2)); own <- c(qlogis(0.2), 0.04 / (0.2 * 0.8))
both <- rma(c(prior[1], own[1]), sei = c(prior[2], own[2]), method = "EE")
out$shrink <- list(prior = prior, own = own, coef = as.numeric(both$beta), se = both$se, weight = as.numeric(weights(both)) / 100,
                   surprise = both$QEp)
made <- list(made_by = "meta.R", inputs = "data/pritz.csv", R = as.character(getRversion()),
             packages = list(metafor = as.character(packageVersion("metafor")), lme4 = as.character(packageVersion("lme4"))), outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null", dataframe = "columns"), "meta.json")
