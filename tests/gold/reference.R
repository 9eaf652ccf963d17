# Reference values on public data sets. Writes data/*.csv and reference.json; run in this folder: Rscript reference.R
suppressMessages({library(survival);library(cmprsk);library(riskRegression);library(Epi);library(geepack);library(brglm2);library(metafor);library(sandwich);library(lme4);library(MASS);library(mice);library(jsonlite);library(splines)})
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
G$lung_unoC <- {z<-concordance(f,timewt="n/G2"); list(c=unname(z$concordance),se=sqrt(z$var))}
x<-summary(survfit(Surv(time,event)~sex,l),rmean=365)$table; G$lung_rmst365<-list(rmean=unname(x[,"rmean"]),se=unname(x[,"se(rmean)"]))
## brier
library(prodlim)
S<-Score(list(cox=coxph(Surv(time,event)~age+sex+ph_ecog,l,x=TRUE)),formula=Surv(time,event)~1,data=l,times=c(100,200,365,500),metrics=c("Brier","AUC"),cens.model="km",se.fit=FALSE)
G$lung_brier<-list(time=c(100,200,365,500),null=S$Brier$score[model=="Null model"]$Brier,cox=S$Brier$score[model=="cox"]$Brier,auc=S$AUC$score[model=="cox"]$AUC)
G$lung_coxpredS<-list(mat=1-predictRisk(coxph(Surv(time,event)~age+sex+ph_ecog,l,x=TRUE),newdata=l,times=c(100,200,365,500)))
## veteran
v<-survival::veteran; v$cell<-as.character(v$celltype); v$celltype<-NULL; wr(v,"veteran"); v$cell<-factor(v$cell,levels=c("squamous","adeno","large","smallcell"))
G$vet_cox<-cx(f<-coxph(Surv(time,status)~trt+karno+age+diagtime+prior,v)); G$vet_zph<-zp(f)
sw<-survreg(Surv(time,status)~trt+karno+age,v); G$vet_weib<-list(coef=as.list(coef(sw)),scale=sw$scale,loglik=sw$loglik[2],se=sqrt(diag(sw$var)))
G$vet_tt<-cx(coxph(Surv(time,status)~trt+karno+tt(karno),v,tt=function(x,t,...) x*log(t+20)))
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
ff<-coxph(Surv(time,status)~rx+sexm+frailty(litter),r); G$rats_frail<-list(coef=as.list(coef(ff)),se=sqrt(diag(ff$var)),theta=ff$history[[1]]$theta,loglik=ff$loglik,cloglik=ff$history[[1]]$c.loglik)
ff<-coxph(Surv(time,status)~rx+frailty(litter),r,subset=sex=="f"); G$ratsf_frail<-list(coef=as.list(coef(ff)),se=sqrt(diag(ff$var)),theta=ff$history[[1]]$theta,loglik=ff$loglik,cloglik=ff$history[[1]]$c.loglik)
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
pr<-predict(cr,matrix(c(50,1,1),1)); G$pbc_crr_pred<-list(time=tp,cif=sapply(tp,function(z) max(pr[pr[,1]<=z,2])))
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
## Firth
sep<-expand.grid(i=1:1800); sep$exposed<-as.integer(sep$i<=600); sep$event<-0L; sep$event[c(1:9,700)]<-1L; sep$age<-40+(sep$i*37)%%40; sep$male<-(sep$i*7)%%2; sep$time<-ifelse(sep$event==1, 30+(sep$i*131)%%900, 1000-(sep$i*17)%%500); sep$i<-NULL
wr(sep,"sparse9of10"); sep2<-sep; sep2$event[700]<-0L; sep2$event[10]<-1L; sep2$time[10]<-200; wr(sep2,"sparse10of10")
pl<-function(dat,form,var){ mf<-model.matrix(form,dat); y<-dat$event
 pll<-function(b,X,off=0){eta<-drop(X%*%b)+off; pr<-plogis(eta); XW<-mfull*sqrt(pr*(1-pr)); sum(y*eta-log1p(exp(eta)))+0.5*determinant(crossprod(XW))$modulus}
 mfull<-mf; fit<-glm(form,binomial,dat,method="brglmFit",type="AS_mean",control=list(epsilon=1e-12,maxit=500)); b<-coef(fit); l0<-pll(b,mf); j<-which(colnames(mf)==var)
 prof<-function(v){o<-optim(b[-j],function(z){bb<-b;bb[-j]<-z;bb[j]<-v;-pll(bb,mf)},method="BFGS",control=list(reltol=1e-14,maxit=1000)); -o$value}
 g<-function(v) 2*(l0-prof(v))-qchisq(.95,1); se<-sqrt(diag(vcov(fit)))[j]
 lo<-uniroot(g,c(b[j]-8*se,b[j]),tol=1e-9)$root; hi<-uniroot(g,c(b[j],b[j]+8*se),tol=1e-9)$root
 list(coef=as.list(b),se=sqrt(diag(vcov(fit))),ploglik=as.numeric(l0),ci=c(lo,hi),lrt=2*(as.numeric(l0)-prof(0)))}
G$firth_9of10<-pl(sep,event~exposed+age+male,"exposed")
e<-brglm2::endometrial; names(e)<-c("NV","PI","EH","event"); wr(e,"endometrial"); G$firth_endo<-pl(e,event~NV+PI+EH,"NV")
# Firth Cox: Heinze & Schemper, breslow; numeric optimisation of penalised partial loglik (information = observed for Breslow)
fcox<-function(d,vars,var){ coxI<-function(b){ X<-as.matrix(d[,vars]); o<-order(-d$time); X<-X[o,,drop=FALSE]; t<-d$time[o]; ev<-d$event[o]; r<-exp(drop(X%*%b)); S0<-cumsum(r); S1<-apply(X*r,2,cumsum); ll<-0; I<-matrix(0,length(b),length(b)); for(i in which(ev==1)){k<-max(which(t==t[i])); ll<-ll+sum(X[i,]*b)-log(S0[k]); m1<-S1[k,]/S0[k]; S2<-crossprod(X[1:k,,drop=FALSE]*r[1:k],X[1:k,,drop=FALSE])/S0[k]; I<-I+S2-tcrossprod(m1)}; list(ll=ll,I=I)}
 p<-function(b){z<-coxI(b); -(z$ll+0.5*as.numeric(determinant(z$I)$modulus))}
 sc<-apply(d[,vars],2,sd); q<-function(g) p(g/sc)
 o<-optim(rep(0,length(vars)),q,method="BFGS",control=list(reltol=1e-15,maxit=2000)); o<-optim(o$par,q,method="BFGS",control=list(reltol=1e-16,maxit=2000)); b<-o$par/sc; names(b)<-vars; I<-coxI(b)$I; se<-sqrt(diag(solve(I))); j<-match(var,vars)
 prof<-function(v){o2<-optim((b*sc)[-j],function(z){g<-b*sc;g[-j]<-z;g[j]<-v*sc[j];q(g)},method="BFGS",control=list(reltol=1e-13)); -o2$value}
 g<-function(v) 2*(-o$value-prof(v))-qchisq(.95,1)
 list(coef=as.list(b),se=unname(se),ploglik=-o$value,ci=c(uniroot(g,c(b[j]-6*se[j],b[j]),tol=1e-6)$root,uniroot(g,c(b[j],b[j]+8*se[j]),tol=1e-6)$root))}
G$firthcox_9of10<-fcox(sep,c("exposed","age","male"),"exposed")
## logistic cluster + GEE
oh<-geepack::ohio; wr(oh,"ohio"); g<-glm(resp~age+smoke,binomial,oh); G$ohio_glm<-list(coef=as.list(coef(g)),se=sqrt(diag(vcov(g))),loglik=as.numeric(logLik(g)),cl_HC0=sqrt(diag(vcovCL(g,~id,type="HC0",cadjust=FALSE))),cl_HC1=sqrt(diag(vcovCL(g,~id,type="HC1",cadjust=TRUE))),cl_HC0adj=sqrt(diag(vcovCL(g,~id,type="HC0",cadjust=TRUE))),hc0=sqrt(diag(vcovHC(g,type="HC0"))))
for(cs in c("independence","exchangeable","ar1")){z<-geeglm(resp~age+smoke,binomial,oh,id=id,corstr=cs); G[[paste0("ohio_gee_",cs)]]<-list(coef=as.list(coef(z)),se=summary(z)$coefficients[,2],alpha=unname(z$geese$alpha),scale=unname(z$geese$gamma))}
## mixed logistic
cb<-lme4::cbpp; cb$herd<-as.integer(as.character(cb$herd)); cb$period<-as.integer(as.character(cb$period)); wr(cb,"cbpp"); for(q in c(1,9,25)){g<-glmer(cbind(incidence,size-incidence)~factor(period)+(1|herd),cb,binomial,nAGQ=q); G[[paste0("cbpp_glmer_agq",q)]]<-list(coef=as.list(fixef(g)),se=unname(sqrt(diag(as.matrix(vcov(g))))),sd=unname(g@theta),loglik=as.numeric(logLik(g)))}
for(q in c(1,9,25)) {g<-glmer(resp~age+smoke+(1|id),oh,binomial,nAGQ=q); G[[paste0("ohio_glmer_agq",q)]]<-list(coef=as.list(fixef(g)),se=unname(sqrt(diag(as.matrix(vcov(g))))),sd=unname(g@theta),loglik=as.numeric(logLik(g)))}
## interval censoring
ic<-l; ic$L<-floor(ic$time/60)*60; ic$R<-ifelse(ic$event==1,ic$L+60,Inf); ic$L[ic$event==0]<-ic$time[ic$event==0]; k<-seq_len(nrow(ic))%%4==0&ic$event==1; ic$R[k]<-ic$R[k]+60; k2<-seq_len(nrow(ic))%%7==0&ic$event==1; ic$L[k2]<-pmax(ic$L[k2]-30,0); wr(ic[,c("L","R","age","sex","event","time")],"lung_ic")
ic$R2<-ifelse(is.finite(ic$R),ic$R,NA); ic$L2<-ifelse(ic$L==0,NA,ic$L)
s<-survfit(Surv(ic$L2,ic$R2,type="interval2")~1); x<-summary(s,times=c(60,120,180,300,420,600,780),extend=TRUE); G$ic_turnbull<-list(time=x$time,surv=x$surv)
sw<-survreg(Surv(L2,R2,type="interval2")~age+sex,ic); G$ic_weib<-list(coef=as.list(coef(sw)),scale=sw$scale,loglik=sw$loglik[2],se=sqrt(diag(sw$var)))
## MI
set.seed(7); imp<-mice(nhanes,m=20,print=FALSE); lg<-complete(imp,"long"); wr(lg,"nhanes_imp"); po<-summary(pool(with(imp,lm(chl~age+bmi)))); G$mi_pool<-list(term=as.character(po$term),est=po$estimate,se=po$std.error,df=po$df,p=po$p.value)
## exact
ex<-list(); for(k in list(c(0,20),c(1,20),c(10,1800),c(500,1800),c(3,3))) {b<-binom.test(k[1],k[2])$conf.int; w<-suppressWarnings(prop.test(k[1],k[2],correct=FALSE)$conf.int); ex[[length(ex)+1]]<-list(x=k[1],n=k[2],cp=as.numeric(b),wilson=as.numeric(w))}; G$exact_binom<-ex
ex<-list(); for(k in list(c(0,1000),c(1,250),c(10,1800.5),c(123,4567))) {b<-poisson.test(k[1],k[2])$conf.int; ex[[length(ex)+1]]<-list(x=k[1],t=k[2],ci=as.numeric(b))}; G$exact_pois<-ex
G$fisher<-{f<-fisher.test(matrix(c(9,1,591,1199),2)); list(or=unname(f$estimate),ci=as.numeric(f$conf.int),p=f$p.value)}
## meta
pz<-metadat::dat.pritz1997; wr(pz[,c("xi","ni")],"pritz"); z<-rma.glmm(measure="PLO",xi=xi,ni=ni,data=pz); zp2<-predict(z,transf=transf.ilogit); G$pritz_glmm<-list(b=as.numeric(z$b),se=z$se,tau2=z$tau2,ll=as.numeric(logLik(z)),pred=zp2$pred,ci=c(zp2$ci.lb,zp2$ci.ub),pi=c(zp2$pi.lb,zp2$pi.ub))
for(q in c(1)) {g<-glmer(cbind(xi,ni-xi)~1+(1|study),cbind(pz,s=1),binomial,nAGQ=7); G$pritz_glmer7<-list(b=unname(fixef(g)),se=sqrt(vcov(g)[1,1]),tau2=unname(g@theta^2))}
es<-escalc(measure="PFT",xi=xi,ni=ni,data=pz); z<-rma(yi,vi,data=es,method="REML"); pr<-predict(z,transf=transf.ipft.hm,targs=list(ni=pz$ni)); G$pritz_ft<-list(b=as.numeric(z$b),se=z$se,tau2=z$tau2,pred=pr$pred,ci=c(pr$ci.lb,pr$ci.ub))
z<-rma(yi,vi,data=es,method="DL"); G$pritz_ft_dl<-list(b=as.numeric(z$b),se=z$se,tau2=z$tau2)
## RP: hazard scale, df=3, log-time, all-cause lung
rp<-function(d,kn){ x<-log(d$time); b<-function(x){ km<-range(log(d$time[d$event==1])); kk<-quantile(log(d$time[d$event==1]),kn,type=7); lam<-(km[2]-kk)/(km[2]-km[1]); v<-sapply(seq_along(kk),function(j) pmax(x-kk[j],0)^3-lam[j]*pmax(x-km[1],0)^3-(1-lam[j])*pmax(x-km[2],0)^3); dv<-sapply(seq_along(kk),function(j) 3*pmax(x-kk[j],0)^2-3*lam[j]*pmax(x-km[1],0)^2-3*(1-lam[j])*pmax(x-km[2],0)^2); list(B=cbind(1,x,v),dB=cbind(0,1,dv))}
 bb<-b(x); X<-as.matrix(d[,c("age","sex","ph_ecog")]); nll<-function(p){k<-ncol(bb$B); eta<-drop(bb$B%*%p[1:k]+X%*%p[-(1:k)]); de<-drop(bb$dB%*%p[1:k]); if(any(de[d$event==1]<=0)) return(1e10); -sum(d$event*(eta+log(pmax(de,1e-300))-x)-exp(eta))}
 s<-survreg(Surv(time,event)~age+sex+ph_ecog,d); st<-c(-coef(s)[1]/s$scale,1/s$scale,rep(0,length(kn)),-coef(s)[-1]/s$scale); o<-optim(st,nll,method="BFGS",control=list(maxit=5000,reltol=1e-14,parscale=c(1,1,rep(.1,length(kn)),.01,.1,.1))); o<-optim(o$par,nll,method="BFGS",hessian=TRUE,control=list(maxit=5000,reltol=1e-15,parscale=c(1,1,rep(.1,length(kn)),.01,.1,.1))); list(par=unname(o$par),ll=-o$value,se=unname(sqrt(diag(solve(o$hessian)))))}
G$lung_rp3<-rp(l,c(1/3,2/3)); G$lung_rp1<-{s<-survreg(Surv(time,event)~age+sex+ph_ecog,l); list(ll=s$loglik[2])}
## IPTW
ps<-glm(I(sex==1)~age+ph_ecog+ph_karno,binomial,l); l$iptw<-with(l,ifelse(sex==1,1/fitted(ps),1/(1-fitted(ps)))); G$iptw<-list(w=l$iptw,cox=cx(coxph(Surv(time,event)~sex,l,weights=iptw,robust=TRUE)))
wr(l[,c("iptw"),drop=FALSE],"lung_iptw")
version <- function(p) as.character(packageVersion(p))
used <- c("survival", "cmprsk", "riskRegression", "geepack", "brglm2", "metafor", "sandwich", "lme4", "mice", "prodlim", "metadat")
origin <- list(made_by = "reference.R", R = as.character(getRversion()), data = "data/*.csv (see data/README.md)",
               packages = sapply(used, version, simplify = FALSE))
write(toJSON(c(list(`_origin` = origin), G), digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "reference.json")
