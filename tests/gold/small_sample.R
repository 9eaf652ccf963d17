# Few clusters: coxph() without one cluster at a time, and clubSandwich's CR2. Run after aalen_johansen.R (data/clustered.csv).
suppressMessages({library(survival); library(clubSandwich); library(jsonlite)})
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
out <- list()

# Clusters with an event are left out and the model fitted again; the others enter by their dfbeta.
leave_out <- function(formula, d, cluster, event, ties = "efron", weights = rep(1, nrow(d))) {
  d$.w <- weights; environment(formula) <- environment()
  fit <- coxph(formula, d, weights = .w, ties = ties, control = tight)
  had <- unique(d[[cluster]][event == 1])
  change <- t(sapply(had, function(g)
    coef(coxph(formula, d[d[[cluster]] != g, ], weights = .w, ties = ties, control = tight, init = coef(fit))) - coef(fit)))
  influence <- rowsum(as.matrix(residuals(fit, type = "dfbeta", weighted = TRUE)), d[[cluster]])
  rest <- influence[!(rownames(influence) %in% as.character(had)), , drop = FALSE]
  se <- sqrt(colSums(change^2) + colSums(rest^2)); df <- length(had) - 1
  list(coef = coef(fit), se = se, df = df, low = exp(coef(fit) - qt(0.975, df) * se), high = exp(coef(fit) + qt(0.975, df) * se),
       p = 2 * pt(-abs(coef(fit) / se), df))
}

lung <- read.csv("data/lung.csv")
for (ties in c("efron", "breslow")) out[[paste0("lung_", ties)]] <-
  leave_out(Surv(time, event) ~ age + sex + ph_ecog, lung, "inst", lung$event, ties)
out$lung_weighted <- leave_out(Surv(time, event) ~ age + sex + ph_ecog, lung, "inst", lung$event, weights = lung$w)

# Few events among many patients: causes other than 1, and 1 in three of four patients, are censored.
d <- read.csv("data/clustered.csv"); d$event <- as.integer(d$cause == 1 & d$patient %% 4 == 0)
for (ties in c("efron", "breslow")) out[[paste0("entry_", ties)]] <-
  leave_out(Surv(entry, exit, event) ~ leak + age, d, "patient", d$event, ties)
out$entry_strata <- leave_out(Surv(entry, exit, event) ~ leak + age + strata(site), d, "patient", d$event)
out$entry_weighted <- leave_out(Surv(entry, exit, event) ~ leak + age, d, "patient", d$event, weights = d$w)

# Fine-Gray: the rows of finegray() stay as they are, so that the weights of those left are those of the whole.
d$few <- ifelse(d$cause == 1, d$event, d$cause); d$state <- factor(d$few, 0:2, c("none", "refracture", "death"))
g <- finegray(Surv(entry, exit, state) ~ leak + age + patient, d, etype = "refracture", id = unit)
out$finegray <- leave_out(Surv(fgstart, fgstop, fgstatus) ~ leak + age, g, "patient", g$fgstatus, weights = g$fgwt)

bell_mccaffrey <- function(fit) {
  v <- vcovCR(fit, cluster = d$patient, type = "CR2"); test <- coef_test(fit, vcov = v, test = "Satterthwaite")
  list(coef = coef(fit), se = sqrt(diag(v)), df = test$df_Satt, p = test$p_Satt,
       low = exp(coef(fit) - qt(0.975, test$df_Satt) * sqrt(diag(v))), high = exp(coef(fit) + qt(0.975, test$df_Satt) * sqrt(diag(v))))
}
steady <- glm.control(epsilon = 1e-15, maxit = 100); d$days <- d$exit - d$entry
# One more step from where it stands: vcov() uses the weights of the step before the last.
again <- function(fit) update(fit, start = coef(fit))
out$logistic <- bell_mccaffrey(again(glm(event ~ leak + age, binomial, d, control = steady)))
out$poisson <- bell_mccaffrey(again(glm(event ~ leak + age + offset(log(days)), poisson, d, control = steady)))
out$logistic_weighted <- suppressWarnings(bell_mccaffrey(again(glm(event ~ leak + age, binomial, d, weights = w, control = steady))))
out$clusters_with_event <- length(unique(d$patient[d$event == 1]))

# Korn and Graubard's limits of a share over clusters: no losses, so that the curve is a proportion.
suppressMessages(library(survey)); z <- d[d$cause > 0, ]; z$y <- as.integer(z$cause == 1 & z$exit <= 3)
share <- svyciprop(~y, svydesign(~patient, data = z, weights = ~1), method = "beta")
out$beta <- list(share = as.numeric(share), variance = as.numeric(attr(share, "var")), limits = as.numeric(attr(share, "ci")),
                 units = nrow(z), clusters = length(unique(z$patient)), by_day = 3)

# Draws of patients by boot, with its percentile and BCa limits of the log of a rate.
suppressMessages(library(boot)); set.seed(7)
by <- aggregate(cbind(event, days) ~ patient, d, sum)
log_rate <- function(z, i) log(sum(z$event[i]) / sum(z$days[i]))
drawn <- boot(by, log_rate, R = 999); left <- sapply(seq_len(nrow(by)), function(i) log_rate(by[-i, ], TRUE))
ci <- boot.ci(drawn, type = c("perc", "bca"), L = mean(left) - left)
out$boot <- list(t = drawn$t[, 1], t0 = drawn$t0, left_out = left, percentile = ci$percent[4:5], bca = ci$bca[4:5])

made <- list(script = "small_sample.R", data = c("data/lung.csv", "data/clustered.csv"), R = as.character(getRversion()),
             packages = list(survival = as.character(packageVersion("survival")), clubSandwich = as.character(packageVersion("clubSandwich")),
                             survey = as.character(packageVersion("survey")), boot = as.character(packageVersion("boot"))),
             outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "small_sample.json")
