# The year that is closed.
year() {
    echo 2026
}
