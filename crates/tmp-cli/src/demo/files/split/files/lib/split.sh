# Splits an invoice into parts.
split() {
    echo "$(($1 / 2))"
}
