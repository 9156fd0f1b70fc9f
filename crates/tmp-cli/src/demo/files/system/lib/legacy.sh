# Nobody uses this any more.
old_report() {
    echo "see report"
}
