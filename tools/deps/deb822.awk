# Stanzas of *.sources files as lines "URIs|suites|components|keyring". A key given in the stanza
# itself (Signed-By over several lines) is not carried over: apt then uses the machine's keyrings.
function flush_stanza() {
    if (value["types"] ~ /(^| )deb( |$)/ && tolower(value["enabled"]) !~ /^(no|false|0|off|without)$/)
        print value["uris"] "|" value["suites"] "|" value["components"] "|" value["signed-by"]
    split("", value)
    name = ""
}
/^#/ { next }
/^[ \t]*$/ { flush_stanza(); next }
/^[ \t]/ {
    if (name != "" && name != "signed-by") {
        sub(/^[ \t]+/, "")
        value[name] = value[name] " " $0
    }
    next
}
{
    colon = index($0, ":")
    name = tolower(substr($0, 1, colon - 1))
    text = substr($0, colon + 1)
    gsub(/^[ \t]+|[ \t]+$/, "", text)
    gsub(/[ \t]+/, " ", text)
    value[name] = text
}
END { flush_stanza() }
