/*
 * Visits a host with a memory in a file: visits FILE HOST PORT COUNT [VERDICT], the verdict being told of each connection.
 */
#include <connie.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int fails(const char *what)
{
    char message[512];
    connie_last_error(message, sizeof message);
    fprintf(stderr, "%s: %s\n", what, message);
    return 1;
}

int main(int argc, char **argv)
{
    struct connie_memory *memory;
    struct connie_options *options = connie_options_new();
    if (argc < 5) {
        return 2;
    }
    if (connie_memory_load(argv[1], &memory) != CONNIE_OK || connie_options_set_memory(options, memory) != CONNIE_OK) {
        return fails(argv[1]);
    }
    for (int count = atoi(argv[4]); count > 0; count--) {
        int fd;
        if (connie_connect_with(options, argv[2], (uint16_t)atoi(argv[3]), 20000, &fd) != CONNIE_OK) {
            return fails(argv[2]);
        }
        if (argc > 5) {
            struct connie_visit *visit = connie_last_visit();
            connie_visit_report(visit, atoi(argv[5]));
            connie_visit_free(visit);
        }
        close(fd);
    }
    if (connie_memory_save(memory, argv[1]) != CONNIE_OK) {
        return fails(argv[1]);
    }
    connie_memory_free(memory);
    connie_options_free(options);
    return 0;
}
