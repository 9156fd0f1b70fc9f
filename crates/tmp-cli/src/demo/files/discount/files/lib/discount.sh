# What a loyal customer saves.
discount() {
    echo "$(($1 / 50))"
}
