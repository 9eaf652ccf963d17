# One fit in R, timed. Called by estimation.py: Rscript estimation.R TASK DATA ROWS COLUMN,COLUMN,...
# DATA holds the columns one after the other as doubles. Writes one line of JSON.
suppressMessages({library(survival); library(jsonlite)})
args <- commandArgs(TRUE)
task <- args[1]; n <- as.integer(args[3]); names <- strsplit(args[4], ",")[[1]]
file <- file(args[2], "rb")
d <- as.data.frame(setNames(lapply(names, function(x) readBin(file, "double", n)), names))
close(file)
d$id <- as.integer(d$id); d$cluster <- as.integer(d$cluster)
x <- grep("^x[0-9]+$", names, value = TRUE)
right <- paste(x, collapse = " + ")
memory <- function() as.numeric(sub("\\D*(\\d+).*", "\\1", grep("VmHWM", readLines("/proc/self/status"), value = TRUE))) / 1000
invisible(gc())
cat("5", file = "/proc/self/clear_refs")
before <- memory()
cox <- function(f) list(coef = unname(coef(f)), se = unname(sqrt(diag(f$var))))
clock <- system.time(answer <- switch(task,
  cox_right = cox(coxph(as.formula(paste("Surv(exit, event) ~", right)), d, cluster = cluster)),
  cox_start_stop = cox(coxph(as.formula(paste("Surv(entry, exit, event) ~", right)), d, cluster = cluster)),
  fine_gray = {
    d$state <- factor(d$cause, 0:2)
    wide <- finegray(as.formula(paste("Surv(exit, state) ~ id + ", right)), d, etype = "1")
    cox(coxph(as.formula(paste("Surv(fgstart, fgstop, fgstatus) ~", right)), wide, weights = fgwt, cluster = id))
  },
  crr = {
    f <- cmprsk::crr(d$exit, d$cause, as.matrix(d[, x]), variance = TRUE)
    list(coef = unname(f$coef), se = unname(sqrt(diag(f$var))))
  },
  incidence = {
    d$state <- factor(d$cause, 0:2)
    s <- summary(survfit(Surv(exit, state) ~ 1, d), times = c(90, 365, 730))
    list(coef = as.vector(s$pstate), se = as.vector(s$std.err))
  }))
cat(toJSON(c(list(seconds = clock[["elapsed"]], cpu = clock[["user.self"]] + clock[["sys.self"]],
                  megabytes = memory() - before, version = R.version.string), answer), digits = NA, auto_unbox = TRUE), "\n")
