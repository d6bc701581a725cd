/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl's commands: each gets its own arguments, prints its own errors, and returns the exit code. */
#ifndef NPUD_TOOLS_COMMANDS_H
#define NPUD_TOOLS_COMMANDS_H

#define EXIT_USAGE 2

int command_bind(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_drain(int argc, char **argv);
int command_info(int argc, char **argv);
int command_maps(int argc, char **argv);
int command_pardon(int argc, char **argv);
int command_ps(int argc, char **argv);
int command_registers(int argc, char **argv);
int command_reset(int argc, char **argv);
int command_resume(int argc, char **argv);
int command_run(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_timeline(int argc, char **argv);
int command_unbind(int argc, char **argv);
int command_why(int argc, char **argv);

extern const char usage_bind[];
extern const char usage_doctor[];
extern const char usage_drain[];
extern const char usage_info[];
extern const char usage_maps[];
extern const char usage_pardon[];
extern const char usage_ps[];
extern const char usage_registers[];
extern const char usage_reset[];
extern const char usage_resume[];
extern const char usage_run[];
extern const char usage_stats[];
extern const char usage_timeline[];
extern const char usage_unbind[];
extern const char usage_why[];

/* "npuctl COMMAND: what" and a hint on standard error; returns EXIT_USAGE. */
int usage_error(const char *command, const char *what);

/* Options of a command that knows --socket and --help alone; returns 0, or -1 with *code set when there is no more to
 * do. */
int options_parse_simple(int argc, char **argv, const char *command, const char *usage, const char **socket, int *code);

#endif
