# Reference values on public data sets. Writes data/*.csv and reference.json; run in this folder: Rscript reference.R
suppressMessages({library(survival); library(cmprsk); library(riskRegression); library(geepack); library(sandwich); library(jsonlite)})
D <- "data/"; G <- list()
wr <- function(d,n) {write.csv(d, paste0(D,n,".csv"), row.names=FALSE); invisible(d)}
cx <- function(f){ s<-summary(f); nv <- sqrt(diag(if(!is.null(f$naive.var)) f$naive.var else f$var))
  list(coef=as.list(coef(f)), se_naive=as.list(setNames(nv,names(coef(f)))), se=as.list(setNames(sqrt(diag(f$var)),names(coef(f)))), loglik=f$loglik, n=f$n, nevent=f$nevent, robust=!is.null(f$naive.var),
       concordance=unname(s$concordance[1]), conc_se=unname(s$concordance[2]), score=f$score, wald=f$wald.test)}
zp <- function(f,tr="km",...) {z<-cox.zph(f,transform=tr,...); list(rows=rownames(z$table),chisq=unname(z$table[,1]),df=unname(z$table[,2]),p=unname(z$table[,3]))}
sf <- function(s,t){ x<-summary(s,times=t,extend=TRUE); r<-list(time=x$time,surv=x$surv,se=x$std.err,lower=x$lower,upper=x$upper,nrisk=x$n.risk,cumhaz=x$cumhaz,se_cumhaz=x$std.chaz); if(!is.null(x$strata)) r$strata<-as.character(x$strata); r}
cif <- function(s,t){ x<-summary(s,times=t,extend=TRUE); list(time=x$time,states=s$states,pstate=x$pstate,se=x$std.err,lower=x$lower,upper=x$upper,strata=if(is.null(x$strata)) NULL else as.character(x$strata))}

## lung
lung <- survival::lung; lung$event <- as.integer(lung$status==2); l <- na.omit(lung[,c("inst","time","event","age","sex","ph.ecog","ph.karno")]); l$ph_ecog<-l$ph.ecog; l$ph_karno<-l$ph.karno; l$ph.ecog<-l$ph.karno<-NULL
l$w <- round(0.5 + (l$age %% 7)/4,2); l$fw <- 1L + (l$age %% 3L); wr(l,"lung")
tt<-c(50,100,200,365,500,800)
G$lung_km <- sf(survfit(Surv(time,event)~1,l,conf.type="log-log"),tt)
G$lung_km_log <- sf(survfit(Surv(time,event)~1,l,conf.type="log"),tt)
G$lung_km_plain <- sf(survfit(Surv(time,event)~1,l,conf.type="plain"),tt)
G$lung_km_sex <- sf(survfit(Surv(time,event)~sex,l,conf.type="log-log"),tt)
G$lung_km_median <- as.list(quantile(survfit(Surv(time,event)~1,l,conf.type="log-log"),0.5)) 
G$lung_km_w <- sf(survfit(Surv(time,event)~1,l,weights=w,conf.type="log-log",robust=TRUE),tt)
G$lung_km_fw <- sf(survfit(Surv(time,event)~1,l[rep(seq_len(nrow(l)),l$fw),],conf.type="log-log"),tt)
G$lung_fh2 <- sf(survfit(Surv(time,event)~1,l,ctype=2,conf.type="log-log"),tt)
for(r in c(0,1)){d<-survdiff(Surv(time,event)~sex,l,rho=r); G[[paste0("lung_logrank_rho",r)]]<-list(chisq=d$chisq,obs=d$obs,exp=d$exp)}
d<-survdiff(Surv(time,event)~ph_ecog,l); G$lung_logrank_k<-list(chisq=d$chisq,df=length(d$n)-1)
d<-survdiff(Surv(time,event)~sex+strata(ph_ecog),l); G$lung_logrank_strat<-list(chisq=d$chisq)
for(ti in c("efron","breslow")){ 
 G[[paste0("lung_cox_",ti)]] <- cx(f<-coxph(Surv(time,event)~age+sex+ph_ecog,l,ties=ti))
 for(tr in c("km","rank","identity","log")) G[[paste0("lung_zph_",ti,"_",tr)]] <- zp(f,tr)
 G[[paste0("lung_cox_cl_",ti)]] <- cx(coxph(Surv(time,event)~age+sex+ph_ecog+cluster(inst),l,ties=ti))
 G[[paste0("lung_cox_rob_",ti)]] <- cx(coxph(Surv(time,event)~age+sex+ph_ecog,l,ties=ti,robust=TRUE))
 G[[paste0("lung_cox_w_",ti)]] <- cx(coxph(Surv(time,event)~age+sex+ph_ecog,l,ties=ti,weights=w,robust=TRUE))
 G[[paste0("lung_cox_fw_",ti)]] <- cx(coxph(Surv(time,event)~age+sex+ph_ecog,l[rep(seq_len(nrow(l)),l$fw),],ties=ti))
 G[[paste0("lung_cox_strata_",ti)]] <- cx(coxph(Surv(time,event)~age+sex+strata(ph_ecog),l,ties=ti))
 G[[paste0("lung_cox_strata_cl_",ti)]] <- cx(coxph(Surv(time,event)~age+sex+strata(ph_ecog)+cluster(inst),l,ties=ti))
}
f<-coxph(Surv(time,event)~age+sex+ph_ecog,l); b<-survfit(f,newdata=data.frame(age=60,sex=1,ph_ecog=1),conf.type="log-log"); G$lung_cox_pred<-sf(b,tt)
## veteran
v<-survival::veteran; v$cell<-as.character(v$celltype); v$celltype<-NULL; wr(v,"veteran"); v$cell<-factor(v$cell,levels=c("squamous","adeno","large","smallcell"))
G$vet_cox<-cx(f<-coxph(Surv(time,status)~trt+karno+age+diagtime+prior,v)); G$vet_zph<-zp(f)
## heart
h<-survival::heart; h$transplant<-as.integer(as.character(h$transplant)); wr(h,"heart")
for(ti in c("efron","breslow")){G[[paste0("heart_cox_",ti)]]<-cx(f<-coxph(Surv(start,stop,event)~age+year+surgery+transplant,h,ties=ti));G[[paste0("heart_zph_",ti)]]<-zp(f)
G[[paste0("heart_cox_cl_",ti)]]<-cx(coxph(Surv(start,stop,event)~age+year+surgery+transplant,h,ties=ti,cluster=id))}
## bladder
bl<-survival::bladder2; wr(bl,"bladder2"); bl1<-survival::bladder; wr(bl1,"bladder")
G$bl_ag<-cx(coxph(Surv(start,stop,event)~rx+size+number,bl,cluster=id)); G$bl_pwp<-cx(coxph(Surv(start,stop,event)~rx+size+number+strata(enum),bl,cluster=id))
G$bl_wlw<-cx(coxph(Surv(stop,event)~rx+size+number+strata(enum),bl1,cluster=id))
## rats frailty
r<-survival::rats; r$sexm<-as.integer(r$sex=="m"); wr(r,"rats"); 
G$rats_cl<-cx(coxph(Surv(time,status)~rx+sexm,r,cluster=litter))
## pbc competing
p<-survival::pbc; p<-na.omit(p[,c("id","time","status","age","sex","edema","bili","albumin","protime")]); p$sexf<-as.integer(p$sex=="f"); p$lbili<-log(p$bili); wr(p,"pbc")
tp<-c(500,1000,2000,3000,4000)
p$st<-factor(p$status,0:2,c("cens","tx","death"))
G$pbc_cif<-cif(survfit(Surv(time,st)~1,p,conf.type="log-log"),tp); G$pbc_cif_log<-cif(survfit(Surv(time,st)~1,p,conf.type="log"),tp);G$pbc_cif_plain<-cif(survfit(Surv(time,st)~1,p,conf.type="plain"),tp)
cu<-cuminc(p$time,p$status); x<-timepoints(cu,tp); G$pbc_cuminc<-list(est=x$est,var=x$var)
ctest<-cuminc(p$time,p$status,p$sexf); G$pbc_gray<-list(stat=ctest$Tests[,1],pv=ctest$Tests[,2],df=ctest$Tests[,3])
fgm<-function(ev,form,ties="efron"){fd<-finegray(Surv(time,st)~.,p,etype=ev); coxph(form,fd,weights=fgwt,ties=ties,cluster=.id)}
p$.id<-seq_len(nrow(p))
fd<-finegray(Surv(time,st)~age+sexf+lbili+.id,p,etype="death")
for(ti in c("efron","breslow")){G[[paste0("pbc_fg_",ti)]]<-cx(coxph(Surv(fgstart,fgstop,fgstatus)~age+sexf+lbili,fd,weights=fgwt,ties=ti,cluster=.id)); G[[paste0("pbc_fg_naive_",ti)]]<-cx(coxph(Surv(fgstart,fgstop,fgstatus)~age+sexf+lbili,fd,weights=fgwt,ties=ti))}
cr<-crr(p$time,p$status,as.matrix(p[,c("age","sexf","lbili")]),failcode=2,cencode=0); G$pbc_crr<-list(coef=as.list(cr$coef),se=sqrt(diag(cr$var)),loglik=cr$loglik)
## Melanoma
data(Melanoma,package="riskRegression"); m<-Melanoma; m<-data.frame(time=m$time,status=m$status,invasion=as.integer(m$invasion)-1L,ulcer=as.integer(m$ulcer=="present"),sexm=as.integer(m$sex=="Male"),age=m$age,logthick=m$logthick,epicel=as.integer(m$epicel=="present")); wr(m,"melanoma")
m$st<-factor(m$status,0:2,c("cens","mel","other")); tm<-c(500,1000,2000,3000,4000)
G$mel_cif<-cif(survfit(Surv(time,st)~1,m,conf.type="log-log"),tm)
x<-timepoints(cuminc(m$time,m$status),tm); G$mel_cuminc<-list(est=x$est,var=x$var)
for(g in c("ulcer","invasion")){ct<-cuminc(m$time,m$status,m[[g]]); G[[paste0("mel_gray_",g)]]<-list(stat=ct$Tests[,1],pv=ct$Tests[,2],df=ct$Tests[,3])}
ct<-cuminc(m$time,m$status,m$ulcer,strata=m$sexm); G$mel_gray_strat<-list(stat=ct$Tests[,1],pv=ct$Tests[,2])
for(fc in 1:2){cr<-crr(m$time,m$status,as.matrix(m[,c("ulcer","sexm","age","logthick")]),failcode=fc); G[[paste0("mel_crr",fc)]]<-list(coef=as.list(cr$coef),se=sqrt(diag(cr$var)),loglik=cr$loglik)}
m$.id<-seq_len(nrow(m)); fd<-finegray(Surv(time,st)~ulcer+sexm+age+logthick+.id,m,etype="mel")
for(ti in c("efron","breslow")) G[[paste0("mel_fg_",ti)]]<-cx(coxph(Surv(fgstart,fgstop,fgstatus)~ulcer+sexm+age+logthick,fd,weights=fgwt,ties=ti,cluster=.id))
G$mel_csc<-cx(coxph(Surv(time,status==1)~ulcer+sexm+age+logthick,m))
## logistic cluster + GEE
oh<-geepack::ohio; wr(oh,"ohio"); g<-glm(resp~age+smoke,binomial,oh); G$ohio_glm<-list(coef=as.list(coef(g)),se=sqrt(diag(vcov(g))),loglik=as.numeric(logLik(g)),cl_HC0=sqrt(diag(vcovCL(g,~id,type="HC0",cadjust=FALSE))),cl_HC1=sqrt(diag(vcovCL(g,~id,type="HC1",cadjust=TRUE))),cl_HC0adj=sqrt(diag(vcovCL(g,~id,type="HC0",cadjust=TRUE))),hc0=sqrt(diag(vcovHC(g,type="HC0"))))
## exact
ex<-list(); for(k in list(c(0,20),c(1,20),c(10,1800),c(500,1800),c(3,3))) {b<-binom.test(k[1],k[2])$conf.int; w<-suppressWarnings(prop.test(k[1],k[2],correct=FALSE)$conf.int); ex[[length(ex)+1]]<-list(x=k[1],n=k[2],cp=as.numeric(b),wilson=as.numeric(w))}; G$exact_binom<-ex
ex<-list(); for(k in list(c(0,1000),c(1,250),c(10,1800.5),c(123,4567))) {b<-poisson.test(k[1],k[2])$conf.int; ex[[length(ex)+1]]<-list(x=k[1],t=k[2],ci=as.numeric(b))}; G$exact_pois<-ex
## IPTW
ps<-glm(I(sex==1)~age+ph_ecog+ph_karno,binomial,l); l$iptw<-with(l,ifelse(sex==1,1/fitted(ps),1/(1-fitted(ps)))); G$iptw<-list(w=l$iptw,cox=cx(coxph(Surv(time,event)~sex,l,weights=iptw,robust=TRUE)))
wr(l[,c("iptw"),drop=FALSE],"lung_iptw")
version <- function(p) as.character(packageVersion(p))
origin <- list(made_by = "reference.R", R = as.character(getRversion()), data = "data/*.csv (see data/README.md)",
               packages = sapply(c("survival", "cmprsk", "riskRegression", "geepack", "sandwich"), version, simplify = FALSE))
write(toJSON(c(list(`_origin` = origin), G), digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "reference.json")
