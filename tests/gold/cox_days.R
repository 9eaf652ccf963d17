# Cox on tied whole days with delayed entry, strata, weights and clusters; one event; PH tests; baseline hazard.
# Run after aalen_johansen.R, which writes data/clustered.csv.
suppressMessages({library(survival); library(jsonlite)})
d <- read.csv("data/clustered.csv"); d$ev <- as.integer(d$cause == 1)
d$risk <- factor(c("no", "not_assessable", "yes")[1 + (d$unit * 7) %% 3], c("no", "not_assessable", "yes"))
cx <- function(f) list(
  coef = as.list(coef(f)), se = as.list(setNames(sqrt(diag(f$var)), names(coef(f)))),
  se_naive = as.list(setNames(sqrt(diag(if (is.null(f$naive.var)) f$var else f$naive.var)), names(coef(f)))),
  loglik = f$loglik, score = f$score, nevent = f$nevent)
zp <- function(f, tr) { z <- cox.zph(f, transform = tr); list(rows = rownames(z$table), chisq = unname(z$table[, 1]), df = unname(z$table[, 2]), p = unname(z$table[, 3])) }
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 50)
out <- list()
for (ties in c("efron", "breslow")) {
  s <- Surv(d$entry, d$exit, d$ev)
  fits <- list(
    entry = coxph(s ~ leak + age, d, ties = ties, control = tight),
    entry_cluster = coxph(s ~ leak + age, d, ties = ties, cluster = patient, control = tight),
    entry_strata_cluster = coxph(s ~ leak + age + strata(site), d, ties = ties, cluster = patient, control = tight),
    entry_weight_cluster = coxph(s ~ leak + age, d, ties = ties, weights = w, cluster = patient, control = tight),
    categories = coxph(s ~ risk + leak + age, d, ties = ties, cluster = patient, control = tight))
  for (n in names(fits)) out[[paste0(n, "_", ties)]] <- cx(fits[[n]])
  for (n in c("entry", "entry_strata_cluster", "entry_weight_cluster", "categories")) for (tr in c("km", "rank", "identity", "log"))
    out[[paste0("zph_", n, "_", ties, "_", tr)]] <- zp(fits[[n]], tr)
  b <- basehaz(fits$entry_strata_cluster, centered = FALSE)
  out[[paste0("basehaz_", ties)]] <- list(time = b$time, hazard = b$hazard, strata = as.character(b$strata))
}
one <- d; one$ev <- as.integer(one$unit == 69)
out$one_event <- cx(coxph(Surv(entry, exit, ev) ~ age, one, control = tight))
out$one_event_cluster <- cx(coxph(Surv(entry, exit, ev) ~ age, one, cluster = patient, control = tight))
strata_one <- d; strata_one$ev[strata_one$site == "A" & seq_len(nrow(d)) != which(d$site == "A" & d$ev == 1)[1]] <- 0
out$stratum_with_one_event <- cx(coxph(Surv(entry, exit, ev) ~ leak + age + strata(site), strata_one, cluster = patient, control = tight))
made <- list(made_by = "cox_days.R", inputs = "data/clustered.csv", R = as.character(getRversion()),
             packages = list(survival = as.character(packageVersion("survival"))), one_event_unit = 69, outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "cox_days.json")
