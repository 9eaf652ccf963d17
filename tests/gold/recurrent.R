# Recurrent events of vertebrae in patients, by all four clocks. Orders and previous events are found here row by row.
# Run in this folder: Rscript recurrent.R   (writes data/recurrent_vertebrae.csv and recurrent.json; reads data/bladder2.csv)
suppressMessages({library(survival); library(jsonlite)})
set.seed(20240517)
one_vertebra <- function(vertebra, patient, age, frailty, leak) {
  late <- patient %% 5 == 0
  entry <- if (late) sample(5:40, 1) else 0
  last <- entry + sample(60:300, 1)
  drug_from <- sample(20:200, 1)
  now <- entry; rows <- NULL
  repeat {
    # A vertebra that has broken breaks more readily; a drug begun on a day of its own halves the hazard.
    n <- sum(rows$event)
    hazard <- frailty * exp(0.5 * leak + 0.25 * min(n, 3) - 0.7 * (now >= drug_from)) / 90
    next_event <- now + max(1, ceiling(rexp(1, hazard)))
    change <- if (now < drug_from) drug_from else Inf
    end <- min(next_event, change, last)
    rows <- rbind(rows, data.frame(vertebra, patient, entry = now, exit = end, event = as.integer(end == next_event),
                                   leak, age, drug = as.integer(now >= drug_from)))
    # Some leave observation after an event and come back later: a gap, in which nothing is at risk.
    now <- if (end == next_event && runif(1) < 0.15) end + sample(1:20, 1) else end
    if (now >= last) break
  }
  rows
}
rows <- NULL; vertebra <- 0
for (patient in 1:110) {
  age <- round(rnorm(1, 74, 8), 1); frailty <- rgamma(1, 2, 2)
  for (k in seq_len(1 + patient %% 3)) {
    vertebra <- vertebra + 1
    rows <- rbind(rows, one_vertebra(vertebra, patient, age, frailty, rbinom(1, 1, 0.4)))
  }
}
rows$site <- c("A", "B")[1 + rows$patient %% 2]
rows$w <- round(0.5 + (rows$patient %% 7) / 4, 2)
rows <- rows[sample(nrow(rows)), ]                     # in no order
write.csv(rows, "data/recurrent_vertebrae.csv", row.names = FALSE)
d <- read.csv("data/recurrent_vertebrae.csv")

d$order <- NA; d$previous <- NA
for (i in seq_len(nrow(d))) {
  mine <- d$vertebra == d$vertebra[i] & d$event == 1 & d$exit <= d$entry[i]
  d$order[i] <- 1 + sum(mine)
  d$previous[i] <- if (any(mine)) max(d$exit[mine]) else 0
}
wlw <- function(d, most) do.call(rbind, lapply(seq_len(most), function(k) {
  z <- d[d$order <= k, ]
  z$event <- as.integer(z$event == 1 & z$order == k)
  z$k <- k
  z
}))
cx <- function(f) list(
  coef = as.list(coef(f)), se = as.list(setNames(sqrt(diag(f$var)), names(coef(f)))),
  se_naive = as.list(setNames(sqrt(diag(f$naive.var)), names(coef(f)))),
  loglik = f$loglik, score = f$score, nevent = f$nevent)
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 50)
fit <- function(formula, data, ties, weights = rep(1, nrow(data))) {
  data$weights <- weights
  environment(formula) <- environment()
  cx(coxph(formula, data, ties = ties, weights = weights, cluster = patient, control = tight))
}
total <- Surv(entry, exit, event) ~ leak + age + drug
gap <- Surv(entry - previous, exit - previous, event) ~ leak + age + drug
out <- list(orders = as.list(table(d$order[d$event == 1])), units = as.list(tapply(d$vertebra, d$order, function(v) length(unique(v)))))
for (ties in c("efron", "breslow")) {
  out[[paste0("ag_", ties)]] <- fit(total, d, ties = ties)
  out[[paste0("ag_weight_site_", ties)]] <- fit(update(total, ~ . + strata(site)), d, ties = ties, weights = d$w)
  out[[paste0("total_", ties)]] <- fit(update(total, ~ . + strata(order)), d, ties = ties)
  out[[paste0("total_3_", ties)]] <- fit(update(total, ~ . + strata(pmin(order, 3))), d, ties = ties)
  out[[paste0("total_3_weight_site_", ties)]] <-
    fit(update(total, ~ . + strata(pmin(order, 3), site)), d, ties = ties, weights = d$w)
  out[[paste0("gap_", ties)]] <- fit(update(gap, ~ . + strata(order)), d, ties = ties)
  out[[paste0("gap_3_", ties)]] <- fit(update(gap, ~ . + strata(pmin(order, 3))), d, ties = ties)
  out[[paste0("gap_1_", ties)]] <- fit(gap, d, ties = ties)
  out[[paste0("marginal_", ties)]] <- fit(update(total, ~ . + strata(k)), wlw(d, max(d$order[d$event == 1])), ties = ties)
  out[[paste0("marginal_3_", ties)]] <- fit(update(total, ~ . + strata(k)), wlw(d, 3), ties = ties)
}
# One row per event, no late entry and no gap: the clock starts anew with each row.
b <- read.csv("data/bladder2.csv")
out$bladder_gap <- cx(coxph(Surv(rep(0, nrow(b)), stop - start, event) ~ rx + size + number + strata(enum), b,
                            cluster = id, control = tight))
out$bladder_gap_2 <- cx(coxph(Surv(stop - start, event) ~ rx + size + number + strata(pmin(enum, 2)), b,
                              cluster = id, control = tight))
made <- list(made_by = "recurrent.R", inputs = c("data/recurrent_vertebrae.csv", "data/bladder2.csv"),
             R = as.character(getRversion()), packages = list(survival = as.character(packageVersion("survival"))),
             outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "recurrent.json")
