# Logistic at a horizon with inverse-probability-of-censoring weights, by hand; clustered rates; Poisson; mid-P.
# Run after aalen_johansen.R, which writes data/clustered.csv.
suppressMessages({library(survival); library(sandwich); library(jsonlite)})
d <- read.csv("data/clustered.csv")
tight <- glm.control(epsilon = 1e-14, maxit = 100)
fit <- function(g) list(coef = as.list(coef(g)), se_naive = unname(sqrt(diag(vcov(g)))))
cl <- function(g, id) unname(sqrt(diag(vcovCL(g, cluster = id, type = "HC0", cadjust = FALSE))))
ipcw <- function(z, horizon, shift, groups = NULL, prior = rep(1, nrow(z))) {
  # shift 0.5: a loss comes after the events of its day. shift 0: the usual Kaplan-Meier of the losses, events at risk.
  lost <- z$cause == 0
  weight <- numeric(nrow(z))
  if (is.null(groups)) groups <- rep(1, nrow(z))
  for (g in unique(groups)) {
    i <- groups == g
    s <- survfit(Surv(z$exit[i] + shift * lost[i], lost[i]) ~ 1, weights = prior[i])
    before <- function(t) c(1, s$surv)[1 + findInterval(t, s$time, left.open = TRUE)]
    known <- !lost[i] | z$exit[i] >= horizon
    weight[i] <- ifelse(known, 1 / before(pmin(z$exit[i], horizon)), 0)
  }
  weight
}
model <- function(z, horizon, shift = 0.5, groups = NULL, prior = rep(1, nrow(z)), f = y ~ leak + age) {
  z$y <- as.integer(z$cause == 1 & z$exit <= horizon)
  z$W <- ipcw(z, horizon, shift, groups, prior) * prior
  z <- z[z$W > 0, ]
  g <- suppressWarnings(glm(f, binomial, z, weights = W, control = tight))
  c(fit(g), list(se = cl(g, z$patient), n_known = nrow(z), n_events = sum(z$y), sum_weight = sum(z$W)))
}
z <- d[d$entry == 0, ]
out <- list(
  ipcw_40 = model(z, 40), ipcw_90 = model(z, 90), ipcw_90_by_site = model(z, 90, groups = z$site),
  ipcw_90_weighted = model(z, 90, prior = z$w), ipcw_90_losses_first = model(z, 90, shift = 0),
  ipcw_90_intercept = model(z, 90, f = y ~ 1))
s <- summary(survfit(Surv(exit, factor(cause, 0:2)) ~ 1, z), times = 90)
out$incidence_90 <- s$pstate[2]
d$y <- as.integer(d$cause == 1); d$days <- d$exit - d$entry
g <- glm(y ~ leak + age, binomial, d, control = tight)
out$logistic_cluster <- c(fit(g), list(se = cl(g, d$patient), loglik = as.numeric(logLik(g))))
g <- suppressWarnings(glm(y ~ leak + age, binomial, d, weights = w, control = tight))
out$logistic_weight_cluster <- c(fit(g), list(se = cl(g, d$patient)))
g <- glm(y ~ leak + age + offset(log(days)), poisson, d, control = tight)
out$poisson_cluster <- c(fit(g), list(se = cl(g, d$patient), loglik = as.numeric(logLik(g))))
g <- glm(y ~ offset(log(days)), poisson, d, control = tight)
out$rate_cluster <- c(fit(g), list(se = cl(g, d$patient), events = sum(d$y), days = sum(d$days)))
out$rate_by_site <- lapply(split(d, d$site), function(q) {
  g <- glm(y ~ offset(log(days)), poisson, q, control = tight)
  c(fit(g), list(se = cl(g, q$patient), events = sum(q$y), days = sum(q$days)))})
midp <- function(x, n) {
  tail <- 0.025
  up <- function(p) pbinom(x, n, p, lower.tail = FALSE) + dbinom(x, n, p) / 2 - tail
  down <- function(p) pbinom(x, n, p) - dbinom(x, n, p) / 2 - tail
  c(if (x == 0) 0 else uniroot(up, c(0, x / n), tol = 1e-15)$root, if (x == n) 1 else uniroot(down, c(x / n, 1), tol = 1e-15)$root)
}
out$mid_p <- lapply(list(c(0, 20), c(1, 20), c(10, 1800), c(3, 3)), function(k) list(x = k[1], n = k[2], ci = midp(k[1], k[2])))
made <- list(made_by = "regression.R", inputs = "data/clustered.csv", R = as.character(getRversion()),
             packages = list(survival = as.character(packageVersion("survival")), sandwich = as.character(packageVersion("sandwich"))), outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "regression.json")
