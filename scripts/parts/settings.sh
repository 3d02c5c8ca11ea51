# The settings as the runner reads them: the environment first, then .env in the working directory.
# shellcheck shell=bash

# The value of one setting, or the given default. Empty means unset, as in the runner. Of .env only
# settings of one line are read here: the scripts need no others.
setting() {
    local name=$1 default=${2-} value line quote
    value=${!name-}
    if [[ -z $value && -f .env ]]; then
        while IFS= read -r line || [[ -n $line ]]; do
            line=${line%$'\r'}
            [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?${name}[[:space:]]*=[[:space:]]*(.*)$ ]] || continue
            value=${BASH_REMATCH[2]}
            quote=${value:0:1}
            if [[ $quote == [\"\'\`] && ${value:1} == *"$quote"* ]]; then
                value=${value:1}
                value=${value%"$quote"*}
                if [[ $quote == '"' ]]; then value=${value//'\n'/$'\n'} value=${value//'\r'/$'\r'}; fi
            else
                value=${value%%#*}
                value=${value%"${value##*[![:space:]]}"}
            fi
        done <.env
    fi
    printf '%s' "${value:-$default}"
}

# Undoes the percent-encoding of a URL's part.
percent_decoded() {
    local text=${1//\\/\\\\}
    printf '%b' "${text//%/\\x}"
}
