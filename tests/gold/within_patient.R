# Vertebrae of one patient compared with each other: coxph stratified by patient, and conditional logistic regression.
# Run after aalen_johansen.R and recurrent.R, which write data/clustered.csv and data/recurrent_vertebrae.csv.
suppressMessages({library(survival); library(jsonlite)})
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 50)
cx <- function(f) list(
  coef = as.list(coef(f)), se = as.list(setNames(sqrt(diag(f$var)), names(coef(f)))),
  se_naive = as.list(setNames(sqrt(diag(if (is.null(f$naive.var)) f$var else f$naive.var)), names(coef(f)))),
  loglik = f$loglik, score = f$score, nevent = f$nevent)
# Events at which those at risk in the patient differ in x, counted event by event, and the patients that hold them.
informative <- function(d, x) {
  told <- sapply(which(d$event == 1), function(i) {
    at_risk <- d$patient == d$patient[i] & d$entry < d$exit[i] & d$exit >= d$exit[i]
    length(unique(d[[x]][at_risk])) > 1
  })
  list(events = sum(told), patients = length(unique(d$patient[d$event == 1][told])))
}
clustered <- read.csv("data/clustered.csv")
clustered$event <- as.integer(clustered$cause == 1)
clustered$height <- (clustered$unit * 7) %% 5
recurrent <- read.csv("data/recurrent_vertebrae.csv")
recurrent$height <- (recurrent$vertebra * 7) %% 5
out <- list()
for (ties in c("efron", "breslow")) {
  f <- Surv(entry, exit, event) ~ leak + height + strata(patient)
  out[[paste0("clustered_", ties)]] <- cx(coxph(f, clustered, ties = ties, control = tight))
  out[[paste0("recurrent_", ties)]] <- cx(coxph(update(f, ~ . + drug), recurrent, ties = ties, control = tight))
  out[[paste0("recurrent_robust_", ties)]] <-
    cx(coxph(update(f, ~ . + drug), recurrent, ties = ties, cluster = patient, control = tight))
  out[[paste0("recurrent_weight_", ties)]] <-
    cx(coxph(update(f, ~ . + drug), recurrent, ties = ties, weights = w, cluster = patient, control = tight))
}
out$informative <- list(
  clustered = sapply(c("leak", "height"), function(x) informative(clustered, x), simplify = FALSE),
  recurrent = sapply(c("leak", "height", "drug"), function(x) informative(recurrent, x), simplify = FALSE))
# One event time per patient: the vertebra that broke first against the others, as a matched set.
set <- do.call(rbind, lapply(split(clustered, clustered$patient), function(z) {
  z$case <- as.integer(seq_len(nrow(z)) == order(-z$event, z$exit)[1] & z$event == 1)
  z
}))
out$matched <- list(unit = set$unit, case = set$case,
                    fit = cx(clogit(case ~ leak + height + strata(patient), set, control = tight, method = "exact")))
made <- list(made_by = "within_patient.R", inputs = c("data/clustered.csv", "data/recurrent_vertebrae.csv"),
             R = as.character(getRversion()), packages = list(survival = as.character(packageVersion("survival"))),
             outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "within_patient.json")
