# The fee of an overdue invoice: FEE_PERCENT of it.
fee() {
    if [ "$2" -gt "$DUE_DAYS" ]; then echo "$(($1 * FEE_PERCENT / 100))"; else echo 0; fi
}
