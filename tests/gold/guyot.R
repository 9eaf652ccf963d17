# Individual times from Kaplan-Meier coordinates: the algorithm of Guyot, Ades, Ouwens and Welton (2012), written here
# from their description, as their program goes: counts of censored changed until the next number at risk is met. The
# program stops where too few are left at risk and no more censored could be taken away, with those of the last pass
# still in; with nearer = TRUE one more pass without censored is made, and kept if it comes nearer.
# Run in this folder: Rscript guyot.R   (reads data/lung.csv and data/veteran.csv, writes guyot.json)
suppressMessages({library(survival); library(jsonlite)})

# Events at each coordinate and censored up to the next. S starts with 1 at time 0; every time of `trisk` is in `time`.
reconstruct <- function(time, S, trisk, nrisk, total = NA, nearer = FALSE) {
  K <- length(time); m <- length(trisk)
  first <- match(trisk, time); final <- c(first[-1] - 1, K)
  d <- cens <- rep(0, K); nh <- rep(nrisk[1] + 1, K + 1); km <- rep(1, K); ncens <- rep(0, m); last <- 1; left_over <- 0
  even <- function(from, to, n) from + seq_len(n) * (to - from) / (n + 1)
  counts <- function(edges, n) hist(even(edges[1], edges[length(edges)], n), breaks = edges, plot = FALSE)$counts
  through <- function(from, to, last) {          # one pass over the coordinates of an interval
    for (k in from:to) {
      if (k == 1) { d[k] <<- 0; km[k] <<- 1 } else {
        d[k] <<- if (km[last] > 0) round(nh[k] * (1 - S[k] / km[last])) else 0
        km[k] <<- if (nh[k] > 0) km[last] * (1 - d[k] / nh[k]) else km[last]
      }
      nh[k + 1] <<- nh[k] - d[k] - cens[k]
      if (to == K && nh[k + 1] < 0) { nh[k + 1] <<- 0; cens[k] <<- nh[k] - d[k] }
      if (d[k] != 0) last <- k
    }
    last
  }
  for (i in seq_len(m - 1)) {
    a <- first[i]; b <- final[i]; nxt <- first[i + 1]
    ncens[i] <- round(nrisk[i] * S[nxt] / S[a] - nrisk[i + 1])
    repeat {
      ncens[i] <- max(ncens[i], 0)
      cens[a:b] <- if (ncens[i] > 0) counts(time[a:nxt], ncens[i]) else 0
      nh[a] <- nrisk[i]
      found <- through(a, b, last)
      off <- nh[nxt] - nrisk[i + 1]
      ncens[i] <- ncens[i] + off
      if (off == 0 || (off < 0 && ncens[i] <= 0)) break
    }
    if (off < 0 && any(cens[a:b] > 0)) {
      left_over <- left_over + 1
      if (nearer) {
        kept <- list(d = d, cens = cens, nh = nh, km = km, found = found)
        cens[a:b] <- 0
        again <- through(a, b, last)
        if (abs(nh[nxt] - nrisk[i + 1]) < abs(off)) found <- again else { d <- kept$d; cens <- kept$cens; nh <- kept$nh; km <- kept$km }
        ncens[i] <- sum(cens[a:b])
      }
    }
    if (nh[nxt] < nrisk[i + 1] || nearer) nrisk[i + 1] <- nh[nxt]
    last <- found
  }
  a <- first[m]
  fill <- function(n) { cens[a:K] <<- 0; if (n > 0 && K > a) cens[a:(K - 1)] <<- counts(time[a:K], n); nh[a] <<- nrisk[m]; through(a, K, last) }
  ncens[m] <- if (m == 1) 0 else
    min(round(sum(ncens[-m]) * (time[K] - time[a]) / (time[final[m - 1]] - time[1])), nrisk[m])
  fill(ncens[m])
  if (!is.na(total)) {
    before <- if (m > 1) sum(d[1:(a - 1)]) else 0
    if (m > 1 && before >= total) { d[a:K] <- 0; cens[a:K] <- 0 } else {
      while (sum(d) > total || (sum(d) < total && ncens[m] > 0)) {
        ncens[m] <- max(ncens[m] + sum(d) - total, 0)
        fill(ncens[m])
      }
    }
  }
  list(d = d, cens = cens, stopped_with_censored = left_over)
}

individuals <- function(time, d, cens, n) {
  K <- length(time)
  x <- data.frame(exit = c(rep(time, d), rep((time[-K] + time[-1]) / 2, cens[-K])), event = rep(1:0, c(sum(d), sum(cens[-K]))))
  x <- rbind(x, data.frame(exit = rep(time[K], n - nrow(x)), event = rep(0, n - nrow(x))))
  x[order(x$exit, -x$event), ]
}

# A curve as it would be read off a page: survival at a grid of times, to three decimals, and a table of numbers at risk.
published <- function(fit, grid, trisk, digits = 3) {
  time <- sort(unique(c(0, grid, trisk)))
  list(time = time, survival = round(summary(fit, times = time, extend = TRUE)$surv, digits), trisk = trisk,
       nrisk = summary(fit, times = trisk, extend = TRUE)$n.risk)
}

case <- function(data, grid, trisk, total = FALSE, digits = 3, nearer = FALSE) {
  fit <- survfit(Surv(time, event) ~ 1, data = data)
  p <- published(fit, grid, trisk, digits)
  z <- reconstruct(p$time, p$survival, p$trisk, p$nrisk, if (total) sum(data$event) else NA, nearer)
  x <- individuals(p$time, z$d, z$cens, p$nrisk[1])
  again <- survfit(Surv(exit, event) ~ 1, data = x)
  drawn <- summary(again, times = p$time[-1], extend = TRUE)$surv
  c(p, z, list(n_events_given = if (total) sum(data$event) else NULL, n_events_true = sum(data$event), n_events = sum(z$d),
               exit = x$exit, event = x$event, drawn = drawn, at_risk_again = summary(again, times = p$trisk, extend = TRUE)$n.risk,
               rmse = sqrt(mean((drawn - p$survival[-1])^2)), max = max(abs(drawn - p$survival[-1]))))
}

lung <- read.csv("data/lung.csv")
veteran <- transform(read.csv("data/veteran.csv"), event = status)
steps <- function(data) { f <- survfit(Surv(time, event) ~ 1, data = data); c(f$time[f$n.event > 0], max(data$time)) }
arms <- split(veteran, veteran$trt)
out <- list(
  lung_grid = case(lung, seq(15, 1020, 15), seq(0, 1000, 250)),
  lung_grid_events_known = case(lung, seq(15, 1020, 15), seq(0, 1000, 250), total = TRUE),
  lung_steps = case(lung, steps(lung), seq(0, 1000, 100), digits = 12),
  lung_early_table = case(lung, seq(10, 1020, 10), c(0, 100, 200)),
  lung_early_table_events_known = case(lung, seq(10, 1020, 10), c(0, 100, 200), total = TRUE),
  lung_no_table = case(lung, seq(10, 1020, 10), 0),
  lung_no_table_events_known = case(lung, seq(10, 1020, 10), 0, total = TRUE),
  veteran_1 = case(arms[[1]], seq(7, 560, 7), seq(0, 500, 100)),
  veteran_2 = case(arms[[2]], seq(7, 1001, 7), seq(0, 900, 100)),
  veteran_2_nearer = case(arms[[2]], seq(7, 1001, 7), seq(0, 900, 100), nearer = TRUE),
  veteran_1_coarse = case(arms[[1]], seq(30, 570, 30), seq(0, 480, 120), digits = 2),
  veteran_1_coarse_nearer = case(arms[[1]], seq(30, 570, 30), seq(0, 480, 120), digits = 2, nearer = TRUE),
  veteran_2_coarse = case(arms[[2]], seq(30, 1020, 30), seq(0, 960, 120), digits = 2),
  veteran_2_coarse_nearer = case(arms[[2]], seq(30, 1020, 30), seq(0, 960, 120), digits = 2, nearer = TRUE))

ratio <- function(one, two) {
  x <- rbind(data.frame(exit = one$exit, event = one$event, arm = 0), data.frame(exit = two$exit, event = two$event, arm = 1))
  z <- coxph(Surv(exit, event) ~ arm, data = x)
  list(coef = as.numeric(coef(z)), se = sqrt(as.numeric(vcov(z))))
}
truth <- coxph(Surv(time, event) ~ I(trt - 1), data = veteran)
made <- list(made_by = "guyot.R", inputs = "data/lung.csv, data/veteran.csv (survival::lung, survival::veteran)",
             R = as.character(getRversion()), packages = list(survival = as.character(packageVersion("survival"))),
             outputs = list(cases = out, veteran_ratio = list(
               true = list(coef = as.numeric(coef(truth)), se = sqrt(as.numeric(vcov(truth)))),
               fine = ratio(out$veteran_1, out$veteran_2), coarse = ratio(out$veteran_1_coarse, out$veteran_2_coarse))))
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = FALSE, null = "null", na = "null"), "guyot.json")
