count=0
total=0
late=0
fees=0

add() {
    count=$((count + 1))
    total=$((total + $3))
    if [ "$4" -gt "$DUE_DAYS" ]; then
        late=$((late + 1))
        fees=$((fees + $(fee "$3" "$4")))
    fi
}

report() {
    each_invoice "$1" add
    echo "$count invoices, $(money "$total") in all, $late overdue, $(money "$fees") in late fees"
}
