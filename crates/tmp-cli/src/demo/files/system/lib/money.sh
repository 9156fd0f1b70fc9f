# Amounts are whole cents.
money() {
    printf '%d.%02d %s' "$(($1 / 100))" "$(($1 % 100))" "$CURRENCY"
}
