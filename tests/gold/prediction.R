# Concordance, Brier score and AUC. Run in this folder after aalen_johansen.R (data/clustered.csv).
suppressMessages({library(survival); library(riskRegression); library(prodlim); library(jsonlite)})
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
d <- read.csv("data/clustered.csv"); d$event <- as.integer(d$cause == 1); l <- read.csv("data/lung.csv"); m <- read.csv("data/melanoma.csv")
read <- function(z) { n <- z$count; n <- if (is.matrix(n)) colSums(n) else n
  list(c = unname(z$concordance), se = sqrt(z$var), concordant = n[[1]], discordant = n[[2]], tied = n[[3]]) }
out <- list()
d$score <- round(d$age / 5) + 2 * d$leak  # many ties
y <- with(d, Surv(entry, exit, event))
out$score <- read(concordance(y ~ score, d, reverse = TRUE))
out$score_cluster <- read(concordance(y ~ score, d, reverse = TRUE, cluster = patient))
out$score_strata_cluster <- read(concordance(y ~ score + strata(site), d, reverse = TRUE, cluster = patient))
out$score_weight_cluster <- read(concordance(y ~ score, d, reverse = TRUE, cluster = patient, weights = w))
out$score_until <- read(concordance(y ~ score, d, reverse = TRUE, cluster = patient, ymax = 40))
f <- coxph(Surv(entry, exit, event) ~ leak + age, d, cluster = patient, control = tight)
out$cox_cluster <- read(concordance(f))
d0 <- d[d$entry == 0, ]
out$uno <- read(concordance(Surv(exit, event) ~ score, d0, reverse = TRUE, cluster = patient, timewt = "n/G2"))
out$uno_strata <- read(concordance(Surv(exit, event) ~ score + strata(site), d0, reverse = TRUE, cluster = patient, timewt = "n/G2"))
out$uno_until <- read(concordance(Surv(exit, event) ~ score, d0, reverse = TRUE, cluster = patient, timewt = "n/G2", ymax = 60))
out$uno_weight <- read(concordance(Surv(exit, event) ~ score, d0, reverse = TRUE, cluster = patient, timewt = "n/G2", weights = w))
f <- coxph(Surv(time, event) ~ age + sex + ph_ecog, l, x = TRUE, control = tight)
out$lung_uno <- read(concordance(f, timewt = "n/G2"))

score <- function(object, formula, data, times, ...) {
  s <- Score(object, formula = formula, data = data, times = times, metrics = c("Brier", "AUC"), cens.model = "km", se.fit = TRUE, ...)
  b <- s$Brier$score; a <- s$AUC$score
  pick <- function(z, what, which) z[[what]][z$model == which]
  list(time = times, null = pick(b, "Brier", "Null model"), null_se = pick(b, "se", "Null model"), brier = pick(b, "Brier", names(object)),
       brier_se = pick(b, "se", names(object)), auc = pick(a, "AUC", names(object)), auc_se = pick(a, "se", names(object)), n = nrow(data))
}
out$lung_brier <- score(list(cox = f), Surv(time, event) ~ 1, l, c(100, 200, 365, 500))
# competing events: a risk given by a formula, so that both sides judge the same numbers
tm <- c(501, 1001, 2001, 3001)
risk <- sapply(tm, function(t) 1 - exp(-t / 15000 * exp(0.8 * m$ulcer + 0.5 * m$logthick)))
# and the AUC without each patient in turn: Score's own errors of the AUC are far off for cause 2 (5 to 12 cases)
n <- nrow(m)
for (cause in 1:2) {
  g <- score(list(given = risk), Hist(time, status) ~ 1, m, tm, cause = cause)
  left <- sapply(seq_len(n), function(i) Score(list(given = risk[-i, ]), formula = Hist(time, status) ~ 1, data = m[-i, ], times = tm,
    metrics = "AUC", cens.model = "km", se.fit = FALSE, cause = cause)$AUC$score$AUC)
  g$auc_jackknife <- sqrt((n - 1) / n * rowSums((left - rowMeans(left))^2))
  out[[paste0("melanoma_brier_", cause)]] <- g
}
made <- list(made_by = "prediction.R", inputs = paste0("data/", c("clustered", "lung", "melanoma"), ".csv"), R = as.character(getRversion()),
             packages = lapply(c(survival = "survival", riskRegression = "riskRegression"), function(k) as.character(packageVersion(k))), outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "prediction.json")
