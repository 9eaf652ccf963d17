# Fine-Gray with late entry and clusters: finegray() then coxph(). Run after aalen_johansen.R (data/clustered.csv).
suppressMessages({library(survival); library(jsonlite)})
d <- read.csv("data/clustered.csv"); d$state <- factor(d$cause, 0:2, c("none", "refracture", "death"))
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 50)
cx <- function(f) list(
  coef = as.list(coef(f)), se = as.list(setNames(sqrt(diag(f$var)), names(coef(f)))),
  se_naive = as.list(setNames(sqrt(diag(f$naive.var)), names(coef(f)))), loglik = f$loglik, score = f$score)
out <- list()
for (which in c("refracture", "death")) for (ties in c("efron", "breslow")) {
  z <- d[d$entry == 0, ]
  g <- finegray(Surv(exit, state) ~ leak + age + patient, z, etype = which)
  out[[paste0("start_", which, "_", ties)]] <- cx(coxph(Surv(fgstart, fgstop, fgstatus) ~ leak + age, g, weights = fgwt, ties = ties, cluster = patient, control = tight))
  g <- finegray(Surv(entry, exit, state) ~ leak + age + patient, d, etype = which, id = unit)
  out[[paste0("entry_", which, "_", ties)]] <- cx(coxph(Surv(fgstart, fgstop, fgstatus) ~ leak + age, g, weights = fgwt, ties = ties, cluster = patient, control = tight))
}
p <- read.csv("data/pbc.csv"); p$state <- factor(p$status, 0:2, c("none", "transplant", "death")); p$row <- seq_len(nrow(p))
g <- finegray(Surv(time, state) ~ age + sexf + lbili + row, p, etype = "death")
for (ties in c("efron", "breslow")) out[[paste0("pbc_", ties)]] <-
  cx(coxph(Surv(fgstart, fgstop, fgstatus) ~ age + sexf + lbili, g, weights = fgwt, ties = ties, cluster = row, control = tight))
made <- list(made_by = "finegray.R", inputs = c("data/clustered.csv", "data/pbc.csv"), R = as.character(getRversion()),
             packages = list(survival = as.character(packageVersion("survival"))), outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "finegray.json")
