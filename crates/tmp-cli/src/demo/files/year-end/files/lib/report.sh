report() {
    # A slip of the pen that only shows when it runs: the function is called each_invoice.
    each_invoce "$1" add
    echo "year end: $count invoices, $(money "$total") in all"
}
