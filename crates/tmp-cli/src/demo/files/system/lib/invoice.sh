# Invoices are lines of number,customer,cents,days overdue.
each_invoice() {
    while IFS=, read -r number customer cents overdue; do
        "$2" "$number" "$customer" "$cents" "$overdue"
    done <"$1"
}
