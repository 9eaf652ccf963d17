# Gray's test from cmprsk: public data, then whole-day ties, three groups, strata, weights, and a group without an event.
# Run in this folder: Rscript gray.R   (reads data/*.csv, writes gray.json)
suppressMessages({library(cmprsk); library(jsonlite)})
p <- read.csv("data/pbc.csv"); m <- read.csv("data/melanoma.csv"); d <- read.csv("data/clustered.csv")
read <- function(g) list(stat = unname(g$Tests[, 1]), p = unname(g$Tests[, 2]), df = unname(g$Tests[, 3]))
gray <- function(time, cause, group, ...) read(cuminc(time, cause, group, ...))
# cuminc knows no late entry and no clusters: rows count from their own entry, as if independent.
d$days <- d$exit - d$entry
d$week <- ceiling(d$days / 28)                      # heavy ties: a few distinct days
d$sites <- paste(d$site, d$leak)                    # six groups
quiet <- d; quiet$cause[quiet$site == "C"] <- 0     # a group without any event
other <- d; other$cause[other$site == "C" & other$cause == 1] <- 2  # a group with competing events only
out <- list(
  pbc = gray(p$time, p$status, p$sexf),
  pbc_edema = gray(p$time, p$status, p$edema),
  pbc_rho1 = gray(p$time, p$status, p$sexf, rho = 1),
  mel_ulcer = gray(m$time, m$status, m$ulcer),
  mel_invasion = gray(m$time, m$status, m$invasion),
  mel_strat = gray(m$time, m$status, m$ulcer, strata = m$sexm),
  days_leak = gray(d$days, d$cause, d$leak),
  days_site = gray(d$days, d$cause, d$site),
  days_site_rho1 = gray(d$days, d$cause, d$site, rho = 1),
  days_site_rho_half = gray(d$days, d$cause, d$site, rho = 0.5),
  days_site_by_leak = gray(d$days, d$cause, d$site, strata = d$leak),
  days_site_by_leak_rho1 = gray(d$days, d$cause, d$site, strata = d$leak, rho = 1),
  week_leak = gray(d$week, d$cause, d$leak),
  week_site = gray(d$week, d$cause, d$site),
  week_six = gray(d$week, d$cause, d$sites),
  week_six_rho1 = gray(d$week, d$cause, d$sites, rho = 1),
  week_leak_by_site = gray(d$week, d$cause, d$leak, strata = d$site),
  quiet_site = gray(quiet$week, quiet$cause, quiet$site),
  other_site = gray(other$week, other$cause, other$site)
)
made <- list(script = "gray.R", data = "data/pbc.csv, data/melanoma.csv, data/clustered.csv", R = as.character(getRversion()),
             packages = list(cmprsk = as.character(packageVersion("cmprsk"))), outputs = out)
write(toJSON(made, digits = NA, auto_unbox = TRUE, pretty = TRUE), "gray.json")
