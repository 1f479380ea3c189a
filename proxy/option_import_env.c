/* The options of `dind-proxy import-env`. */
#include "proxy/import_env.h"
#include "proxy/option_table.h"
#include "proxy/option_value.h"

#define FIELD(member) offsetof(struct config, import.member)

static const struct option_choice dialects[] = {{"tecnativa", IMPORT_TECNATIVA},
                                                {"tecnativa-methods", IMPORT_TECNATIVA_METHODS},
                                                {"linuxserver", IMPORT_LINUXSERVER},
                                                {NULL, 0}};

static const struct option table[] = {
    {.heading = "What is read, and how",
     .flag = "--dialect",
     .environment = "DIND_PROXY_IMPORT_DIALECT",
     .argument = "NAME",
     .kind = &option_kind_choice,
     .field = FIELD(dialect),
     .fallback = "tecnativa",
     .choices = dialects,
     .help = "Whose switches: tecnativa is its docker-socket-proxy up to 0.4, tecnativa-methods "
             "later ones with a switch for each method, linuxserver is linuxserver.io's "
             "socket-proxy, version 3."},
    {.flag = "--safe",
     .environment = "DIND_PROXY_IMPORT_SAFE",
     .kind = &option_kind_switch,
     .field = FIELD(safe),
     .fallback = "false",
     .help =
         "Leave out the calls that break out of the engine, which the preset blocklist refuses, "
         "though the switches open them."},
};

const struct option_set option_set_import_env = {
    .command = "import-env",
    .intro =
        "Prints the policy file that lets through what another socket proxy would by its switches\n"
        "(CONTAINERS=1, POST=0, ...): those in the file ENV-FILE (- is standard input), one\n"
        "NAME=VALUE a line, else those in the environment. Bodies are judged besides, which no\n"
        "switch says: see proxy/import-env.md.\n",
    .statuses = "  0   printed\n"
                "  2   a value is neither 0 nor 1, the file cannot be read, or wrong usage\n",
    .options = table,
    .count = sizeof table / sizeof *table,
};
