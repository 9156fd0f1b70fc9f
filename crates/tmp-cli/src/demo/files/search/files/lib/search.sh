# Finds invoices by customer.
search() {
    echo "searching $1"
}
