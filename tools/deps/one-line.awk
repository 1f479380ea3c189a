# sources.list lines "deb [options] URI suite component…" as "URIs|suites|components|keyring".
{ sub(/#.*/, "") }
$1 == "deb" {
    keyring = ""
    options = ""
    line = $0
    if (match(line, /\[[^]]*\]/)) {
        options = substr(line, RSTART + 1, RLENGTH - 2)
        line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
    }
    count = split(options, option, " ")
    for (i = 1; i <= count; i++)
        if (tolower(option[i]) ~ /^signed-by=/) keyring = substr(option[i], 11)
    gsub(/,/, " ", keyring)
    count = split(line, field, " ")
    if (field[2] ~ /^cdrom:/) next
    components = ""
    for (i = 4; i <= count; i++) components = components " " field[i]
    print field[2] "|" field[3] "|" substr(components, 2) "|" keyring
}
