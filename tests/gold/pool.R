# Published shares and ratios pooled by metafor. The studies are written out here one by one, as figures.csv has them, so
# that which figures are pooled is checked as well as how; arms added together are lines of one study.
# Run in this folder: Rscript pool.R   (reads ../../cohort/literature/data/figures.csv and effects.csv, writes pool.json)
suppressMessages({library(metafor); library(lme4); library(jsonlite)})
folder <- "../../cohort/literature/data/"
figures <- read.csv(paste0(folder, "figures.csv"), colClasses = "character")
effects <- read.csv(paste0(folder, "effects.csv"), colClasses = "character")
tight <- list(threshold = 1e-14, maxiter = 10000, tol = 1e-15)
# rma.glmm's glmer with its optimizer run on, as in meta.R, and 15 points of quadrature
control <- list(glmerCtrl = list(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.1, rhoend = 1e-12), boundary.tol = 0))

shares <- function(text) {
  d <- read.table(text = text, sep = "|", strip.white = TRUE, col.names = c("study", "quantity"), quote = "")
  row <- match(paste(d$study, d$quantity), paste(figures$study_key, figures$quantity))
  stopifnot(!anyNA(row))
  d$xi <- as.numeric(figures$numerator[row]); d$ni <- as.numeric(figures$denominator[row])
  sums <- aggregate(cbind(xi, ni) ~ study, d, sum)
  sums[match(unique(d$study), sums$study), ]
}
sets <- list(
  same_radiographic = shares("
    klazen2010_vertos2 | further height loss of treated vertebra, PVP arm
    lin2008 | refracture of cemented vertebra
    zhangzj_pvp_pkp | same-level refracture within 1 year, PVP
    zhangzj_pvp_pkp | same-level refracture within 1 year, PKP
    bmc2020_endplate | recompression of augmented vertebra
    josr2021recomp | recompression of augmented vertebra
    hiwatashi2009 | patients with further collapse of treated vertebra
    zhangl2017 | recompression
    zol_pkp2020 | recompression of previously treated vertebra, placebo arm"),
  adjacent_unstated = shares("
    bmc2020_endplate | adjacent vertebral fracture
    sandwich | adjacent fracture, sandwich constellation
    sandwich | adjacent fracture, other constellations
    zhou2023 | adjacent VCF after PVP
    swissspine2013 | adjacent vertebral fracture after monosegmental BKP
    avf674_2024 | adjacent vertebral fracture after PVP/PKP
    kimjh2015 | patients with new adjacent fracture, >=7 y
    li2021blocky | adjacent vertebral fracture
    bb2025 | adjacent vertebral refracture after PKP"),
  any_unstated = shares("
    klazen2010_vertos2 | new VCF incidence, PVP arm
    yoo2012 | new VCF after PVP
    yang2019 | new VCF after PVP
    cia2021_2202 | new vertebral fracture after PVP
    nomo403_2021 | new VCF within 2 years, training cohort
    nomo403_2021 | new VCF within 2 years, validation cohort
    nomo529_2023 | new VCF within 2 years after PKP
    romo_bkp | subsequent vertebral fracture after BKP, bisphosphonate
    romo_bkp | subsequent vertebral fracture after BKP, romosozumab
    sarcop2022 | vertebral refracture after PKP
    chen2019_650 | secondary VCF after PVP/PKP
    jilin2022hu | new VCF after PVP/PKP
    komemushi2006 | new fracture after PVP
    liu_ds2021 | refracture after PVP (level not specified)
    zol_pkp2020 | new vertebral fracture, placebo arm
    hu2020zol | new vertebral fracture, control arm"))

logistic <- function(d) {
  z <- rma.glmm(measure = "PLO", xi = xi, ni = ni, data = d, nAGQ = 15, control = control)
  p <- predict(z, pi.type = "riley")
  list(b = as.numeric(z$beta), se = z$se, tau2 = z$tau2, I2 = z$I2 / 100, low = z$ci.lb, high = z$ci.ub,
       riley = c(p$pi.lb, p$pi.ub))
}
arcsines <- function(d) {
  z <- rma(measure = "PFT", xi = xi, ni = ni, data = d, method = "REML", control = tight)
  p <- predict(z, transf = transf.ipft.hm, targs = list(ni = d$ni), pi.type = "riley")
  r <- if (nrow(d) >= 10) regtest(z) else NULL
  e <- if (nrow(d) >= 10) regtest(z, model = "lm") else NULL
  list(b = as.numeric(z$beta), se = z$se, tau2 = z$tau2, I2 = z$I2 / 100, read = c(p$pred, p$ci.lb, p$ci.ub, p$pi.lb, p$pi.ub),
       regtest = if (!is.null(r)) list(stat = r$zval, p = r$pval), egger = if (!is.null(e)) list(stat = e$zval, p = e$pval))
}
out <- list(shares = lapply(sets, function(d) c(list(study = d$study, xi = d$xi, ni = d$ni, glmm = logistic(d), ft = arcsines(d)),
  list(leave = lapply(seq_len(nrow(d)), function(i) logistic(d[-i, ])[c("b", "tau2")])))))

ratios <- function(text) {
  d <- read.table(text = text, sep = "|", strip.white = TRUE, col.names = c("study", "exposure"), quote = "")
  row <- match(paste(d$study, d$exposure), paste(effects$study_key, effects$exposure))
  stopifnot(!anyNA(row))
  number <- function(name) as.numeric(effects[[name]][row])
  d$yi <- log(number("estimate")); d$sei <- (log(number("ci_high")) - log(number("ci_low"))) / (2 * qnorm(0.975))
  z <- rma(yi, sei = sei, data = d, method = "REML", test = "knha", control = tight)
  p <- if (nrow(d) > 2) predict(z, pi.type = "riley") else NULL
  l <- leave1out(z)
  list(study = d$study, yi = d$yi, sei = d$sei, b = as.numeric(z$beta), se = z$se, tau2 = z$tau2, I2 = z$I2 / 100, low = z$ci.lb,
       high = z$ci.ub, p = z$pval, riley = if (!is.null(p)) c(p$pi.lb, p$pi.ub), leave = l$estimate)
}
out$ratios <- list(
  hounsfield = ratios("
    jilin2022hu | Hounsfield unit value (per HU)
    avf674_2024 | HU value (per HU)"),
  # Adjusted with crude, meta-analyses with single studies: no answer to a question, but numbers to agree on.
  leak_of_every_kind = ratios("
    nomo529_2023 | intervertebral (disc) cement leakage
    josr2022meta | bone cement leakage
    liu_ds2021 | cement leakage
    hbyx2024meta | bone cement leakage"))

# The registry among the studies, and drawn towards them: pooled with a study that says what the prior says.
d <- sets$adjacent_unstated
own <- c(30, 310)
both <- rbind(d, data.frame(study = "registry", xi = own[1], ni = own[2]))
out$with_registry <- logistic(both)[c("b", "se", "tau2")]
g <- out$shares$adjacent_unstated$glmm
prior <- c(g$b, sqrt(g$tau2 + g$se^2)); share <- own[1] / own[2]; error <- sqrt(share * (1 - share) / own[2])
z <- rma(c(prior[1], qlogis(share)), sei = c(prior[2], error / (share * (1 - share))), method = "EE")
out$toward <- list(share = share, error = error, prior = prior, b = as.numeric(z$beta), se = z$se, weight = as.numeric(weights(z)) / 100)

made <- list(made_by = "pool.R", inputs = "cohort/literature/data/figures.csv, effects.csv", R = as.character(getRversion()),
             packages = list(metafor = as.character(packageVersion("metafor")), lme4 = as.character(packageVersion("lme4"))), outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null", dataframe = "columns"), "pool.json")
