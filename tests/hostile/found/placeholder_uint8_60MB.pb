
1
xPlaceholder*
dtype0*
shape	:€ŽÎ

yIdentityx*
T0