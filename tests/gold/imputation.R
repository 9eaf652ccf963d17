# Chained equations with event and cumulative hazard, by mice: what many imputations say of a Cox model on average.
# Run in this folder: Rscript imputation.R   (reads data/pbc.csv, writes imputation.json; a minute)
# Draws cannot be compared one by one: compared are means and variances over many of them, within Monte Carlo error.
suppressMessages({library(survival); library(mice); library(jsonlite)})
draws <- 300; rounds <- 5
d <- read.csv("data/pbc.csv")
d <- data.frame(id = d$id, time = d$time, event = as.integer(d$status == 2), age = d$age, albumin = d$albumin,
                lbili = d$lbili, female = d$sexf, edema = factor(d$edema))
# Holes by arithmetic, more of them after an event: missing at random given the outcome. The tests make the same ones.
d$lbili[(d$id * 37) %% 101 < 20 + 20 * d$event] <- NA
d$female[(d$id * 53) %% 97 < 30] <- NA
d$edema[(d$id * 29) %% 89 < 15 + 15 * d$event] <- NA
d$hazard <- nelsonaalen(d, time, event)
d$female <- factor(d$female)
used <- c("event", "hazard", "age", "albumin", "lbili", "female", "edema")
whole <- d; whole$edema <- factor(read.csv("data/pbc.csv")$edema)
said <- function(d, numeric, categories = "") {
  method <- setNames(rep("", length(used)), used)
  method[c("lbili", "female", "edema")] <- c(numeric, "logreg", categories)
  imp <- mice(d[used], m = draws, maxit = rounds, method = method, seed = 1, printFlag = FALSE)
  fits <- lapply(seq_len(draws), function(k) {
    z <- complete(imp, k)
    coxph(Surv(d$time, d$event) ~ age + lbili + female + edema, z)
  })
  coef <- sapply(fits, coef); variance <- sapply(fits, function(f) diag(vcov(f)))
  list(term = rownames(coef), coef = rowMeans(coef), within = rowMeans(variance), between = apply(coef, 1, var))
}
# Rubin's rules themselves: pool.scalar on numbers, with and without degrees of freedom of the complete data.
q <- c(0.41, 0.55, 0.32, 0.47, 0.60); u <- c(0.040, 0.038, 0.045, 0.041, 0.036)
scalar <- function(n) {
  p <- pool.scalar(q, u, n = n, k = 1)
  list(qbar = p$qbar, t = p$t, df = p$df, r = p$r, fmi = p$fmi)
}
out <- list(
  pmm = said(whole, "pmm"), normal = said(whole, "norm"),
  # polyreg fits a multinomial regression and takes its coefficients as they are, without drawing them.
  categories = said(d, "pmm", "polyreg"),
  complete_case = {f <- coxph(Surv(time, event) ~ age + lbili + female + edema, d); list(coef = unname(coef(f)), n = f$n)},
  hazard = d$hazard[seq(1, nrow(d), 8)],
  scalar = list(q = q, u = u, endless = scalar(Inf), thirty = scalar(31))
)
made <- list(script = "imputation.R", data = "data/pbc.csv", R = as.character(getRversion()), draws = draws,
             iterations = rounds,
             packages = list(survival = as.character(packageVersion("survival")), mice = as.character(packageVersion("mice"))),
             outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "imputation.json")
