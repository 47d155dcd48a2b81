"""One slice in High-Throughput JPEG 2000, for which no writer in Python is among our tools."""

import base64

# `chest().hu[0] + 1024` as a 16-bit PGM through OpenJPH 0.9:
# ojph_compress -reversible true -num_decomps 2 -prog_order RPCL
CODED = (
    "|4;u>04YEK0000m0000i00000000000000m0000i0000000000009pH0sl|{2mk^A000aBQUDA90ssL30t5s=0smY83Lub}n3#}|nEzw|761WH"
    "aAj^vP)HzFWpW@eE;%kRF8`1K3IG5A01AHq0soW002k?44*=W$L;n~5NB$4~Z~mVLc>K@(j{unLuK+0SZvZ&%@B6?1Z~T7{F#KQqzyBNm8~<1T"
    "Ujp#s-}OIvKXl&#uw9?$ziB^d|7Tu(ue3Mc8|^3VJMstaUjZWQ+y6ZS$PB3Zue1L`p8&A=zvdt6zwn>vKf>SV|83rHZ@2H=3-}lR8~+pj@cXF#"
    "`TWcKy8m|p`}g7Yng2-tTmCBlB>!{&a{ihA*B*8+zF*uY{s;dN{tJJlzlWcGpVBA(KmTU|xc*<WUkRA>U(0{t&)SFW)Arl@v;FHHZlBP{+h_dW"
    "`_=n{fSiEaf93yA|4aU_0-OR&{yY7r{;vbf0POv*{s1=jd+htHI{kX;vGwcq>)PRseParn!>nmygn(p9K-485BQ^rS01N8K00Dh%001wofSI@n"
    "AA@=<Zx|RITpjo&ism2y*yA7eDD@HXBShxlaL{Po&6d(N#;H35Bc&|B?R~jmga^7np;@DgFpw*^`}AF5!EsZ#08k~oLd67x4A@ZOcpi*uGh#UM"
    "0^IccA`qKr5M)Re5cP{sBW8*O73D<)g$IezoFzLfh4ri;>;j@d#9%ups0;NOo&~LIS-^Y{*MoDBpC@rHJrJY}pr%AoWP|_!OaQTv0$?lwAR>WY"
    "7{THZT?#Q|4?H08`-6)DR6xbz;oCD;%?7Fp%h%Mw3IJg&P)G@2qCuW+v>eolH2@SFm@u$`K!t>A2$K$49;AY%VACk18AN8r@rSq!OTWfnMtU)I"
    "a9b+P(86mW-~VDGr{FeOu$<e<voEpX0Nf6STM$k)G^R5THVsme00{y>$RBwk7$E)tW&2vza)RRll5<J|sDuCkMd30M8UO|fI0gnF#sGvdCbR;g"
    "Qk)uIfRLDDhOLOG=QVnOu;~pEF~P4@T5X?O(KJtO=s|ZTN+1aEXdEkiTRL2fjlvJ8`H+AI9>CB89l(6TqJhL293v1j#5f2TVok~v$v3!z0e;K-"
    "vmFj%I`4v}(2GY%%7UsPW;k^Oc&Ml!q!=Qzz<>yWGG!cNQIM$N%YX(bm=U3Z12X}7e4#L*@cIC?t!p|t$rxIsb_pjGC`l6!1X7V5q^z$Ppv(kB"
    "P@)Ty0>A(l^p^ktU((zF0KcYS6k$^-+LR|;*psb;`+$fNj(`O6gI<tq2Pbizi^8}Ann?gaK)!$k!pOyy1^~jtBa0LqmOZnHl+!2=MCt^{JVxIE"
    "U4s!Rnh=K+gqA=8T{1yMfB=R95(<22ppSvQNDn9SDL_Dv9FYJ8j1JMmAWWvucD5vNuqCt>u#cE3kO<a@j$1jn2b+Qblp9b7E&vWelM)H&<Pkv5"
    ";Lui>6#@(#01+r)#Q?#a0|cY700z1<2n+(?9{Ui$4F}x}AlplM2&PF~q6Q*(V1xuB=pu0oI+$r3<fa4%KyW~&Lks|72tcgW`3(m&a9{ug1UzUk"
    "K!GbUK!E}bG-%*(g6I^S36N0B|0RtR5CDd$=1VYvf(HQ*7zHgs4EGiR2>?KxK&J!_a3Jyp1;7CS#)XC8N%#s@L~S5KUtnx`3T!F_2+(1`3O*I~"
    "WtcF5X^;TQa@H*f>lcY17)(Hc0tpbXCm*EHBNVVaqz@3l?7XAoaZn*aX-iD-ptZtbn*!31lMd%G`?--YK*&I$gUXH$f`iW@PEyL)xNrcpQ9*=+"
    "-Isj^d4#ZlBSVgh%tf#>p@f7I6dFQOZHM<xJ|Y?bBq%Tfje!9U9zl}<fCvlzG$8Px079bR0C|zXZz2E!@i<@$fC#5T9IAyuaO8L+V4MJ9fEuEE"
    "lBa48WFpn9LV~D)tszxU(KG-efsGJ)s^Dfw$^c|j(7eGc$VpVJGsuGgs)PX7E0nazn1B!|St1}ngcynjh?I$rnCeKJxx%iB61fJ(qo@EK6*2@w"
    "uFU{uhX5HV0sfrWh9JZ$szMk8fC4Z%pcF2K>&kIc2>d#rfd?1_AOZvOOJEQM33G5s9)rMyL2L<=yw(L#20RV~z5`%gZ#arn;5HDhV$d-HGzoc;"
    "4cJLCAOQ_Pn1lc}H|T>kO4`dji=q%vqi=@^I9Z>^s9E5^Kn4zo8jLT5RFQ=|gi+bTgaJI@dMYid2ow-m^?eiNaai;50mK1;wpnOq;6Z`_ss9UX"
    "AfUkkI0M=iOh7Kg`Q~QXkplxL5a=nvGlMS!7%pJgfJAt34hBL)lek=269pUv1rGU_(n677L4gGT8UR3mav;Ru6+@8_&`Fpm%^$Q`4*?<2oZk)*"
    "3v>%I4Zsp8Gzbl>Y}i9-Y4bxsGsQU}c{BDLG!))|-{Mz1&4ddG>ic41Y&hcG0zt^IIYFcWfC8iqdNV*Xk)YRg&H_lWz#KmvBm@!)G=YdD!G*yb"
    "H#rrcITX+@C{uu-px^*VDB*wr!R6pTuuMsWm=h*JcP&^r5J3SkO(zg27(h7SM?ftMKwN+&X3%jt0wHYBzXbbt(7+dSXdVhj2P_`JC>1;aL4XY#"
    "2n6ZE;1>x8Ejk3<FhBzbBtU@%10<lp0tOrqK>`T`P?(g=)&_b_^8l*0IRFSt*WTcP41g*`5DF9^H3CdGMbHwL3g(Ff@<;##;5En%+5({o2}1&c"
    "AS8~6-4Fs+I6yQ2G5}N%V<-jyf|S0L0KKL~2pTTYN&zLLsX_<}cp?Bo5dgSB5D?13T#!Df*(94wX+;GGF$WCE!2*mV7=RIbjJ)O(Y>NyEfqeui"
    "tD$X5rBetVS_X*Nzy|=(PcSe70u5APYIuf5LIglT1i{_c0RRmmKmcF@Th(!NI?1uXdJ|^Iqea2RhQI))eRlv)Cm`Uilc;+l;$h%{03=k9Uj-Qm"
    "AR&hvaHkaB(ZB)}f&k%rY(?iB01*UmLJR^3fF2MSMVC<>5TZ>G4+$iJ1cLfRI)IrgsBC~1UI>xGfg4lu^B_I}F6di;13VxE2oORAH4Gvy7>I5l"
    "KxT<DL@(O=LxKYU9MDbxmrDe|f8a*}2p0-Gh|qz+1HgO|*!_@zK?VqK5d;{CfFO8?U=aBDXlNb>pcn>7Sl~NAzyb@l%n8U|@}5}&@&UmBYzVFm"
    "d|&~c1VjSA6<!DndRkzFfCW0}-~}8+$gqI{4Oo0S3NnIVg4+WJDk?lVgn@v9fgOp02QHwEfad@R7ihQCtUd-K1aSimbfDma1Dsnx{}Eijq1+l0"
    "aDd+roCZP+BPif77@*1&4JK4DfjSC!5FXb=_#t0=1#Doz0~Ry_fMJ8c0vvd-00RnMPyh@Z&|t%YfdQBpk)lES2P7CkzXt(!0D=ZWEC3)tAYp-k"
    "Y5SK769m{GBEbNP3MxwA<NW{!037fru)u?GFwmQjBmfB>00y5blfX!Uq`mh501CJO5riPT1ym^D5TI;uBOz1ZflQLAScm{9Sd;+*AS;3hKooG`"
    "I9V+LP>Bsh%ZB;MKmn?*1PF5}09C*~A^;WO;~@a3MMX!YNC5#-7>MA&;Q&AiQD~A|2_Xz^l+u%}w7HZA|Je"
)
FRAME = base64.b85decode(CODED)
