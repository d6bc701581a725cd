/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: what is shipped is valid, every error names its place, nothing is half-applied. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "tests/unit/suite.h"

#define DEVICES "\"devices\": [{\"name\": \"npu0\", \"path\": \"/a\"}]"

static int parse(const char *text, struct config *config, struct config_errors *errors)
{
	return config_parse(text, strlen(text), config, errors);
}

START_TEST(the_shipped_configuration_is_valid_and_is_the_default)
{
	struct config shipped, minimal;
	struct config_errors errors;

	int error = config_load("config/npud.json", &shipped, &errors);
	ck_assert_msg(error == 0, "%s", errors.text);
	ck_assert_int_eq(parse("{" DEVICES "}", &minimal, &errors), 0);
	ck_assert_str_eq(shipped.socket.path, minimal.socket.path);
	ck_assert_uint_eq(shipped.socket.mode, minimal.socket.mode);
	ck_assert_uint_eq(shipped.scheduler.max_in_flight, minimal.scheduler.max_in_flight);
	ck_assert_uint_eq(shipped.budget.default_ms, minimal.budget.default_ms);
	ck_assert_uint_eq(shipped.budget.max_ms, minimal.budget.max_ms);
	ck_assert_uint_eq(shipped.quarantine.tenant_threshold, minimal.quarantine.tenant_threshold);
	ck_assert_uint_eq(shipped.scrub, minimal.scrub);
	ck_assert_mem_eq(&shipped.tenants, &minimal.tenants, sizeof(shipped.tenants));
	ck_assert_uint_eq(shipped.devices[0].deadline_ms, minimal.devices[0].deadline_ms);
}
END_TEST

START_TEST(every_key_reaches_its_place)
{
	static const char text[] =
	    "{\"socket\": {\"path\": \"/run/x\", \"mode\": \"0600\", \"group\": \"g\"},"
	    "\"log\": {\"level\": \"debug\", \"format\": \"json\"},"
	    "\"devices\": [{\"name\": \"a\", \"transport\": \"vfio-user\", \"path\": \"/a\", \"deadline_ms\": 5},"
	    "{\"name\": \"b\", \"path\": \"/b\"},"
	    "{\"name\": \"c\", \"transport\": \"vfio\", \"address\": \"0000:01:00.0\", \"iommu\": \"type1\"}],"
	    "\"scheduler\": {\"policy\": \"fifo\", \"max_in_flight\": 4},"
	    "\"budget\": {\"default_ms\": 10, \"max_ms\": 20}, \"scrub\": \"none\","
	    "\"quarantine\": {\"session_threshold\": 3, \"tenant_threshold\": 7, \"half_life_s\": 5, \"minimum_s\": 2},"
	    "\"limits\": {\"connections\": 7, \"tenant\": {\"jobs\": 3}},"
	    "\"capacity\": {\"buffer_bytes\": 4096, \"job_bytes\": 4097, \"tcb_bytes\": 4098, \"fds\": 5},"
	    "\"rights\": {\"maps\": {\"users\": [1000, \"root\"], \"groups\": [44]}},"
	    "\"quirks\": {\"create_always\": true, \"gm_offset_shift\": 12}}";
	struct config config;
	struct config_errors errors;
	struct host_options options;

	ck_assert_int_eq(parse(text, &config, &errors), 0);
	ck_assert_str_eq(config.socket.path, "/run/x");
	ck_assert_uint_eq(config.socket.mode, 0600);
	ck_assert_uint_eq(config.log.level, LOG_LEVEL_DEBUG);
	ck_assert_uint_eq(config.device_count, 3);
	ck_assert_uint_eq(config.devices[0].deadline_ms, 5);
	ck_assert_str_eq(config.devices[1].path, "/b");
	ck_assert_uint_eq(config.devices[2].transport, TRANSPORT_VFIO);
	ck_assert_str_eq(config.devices[2].address, "0000:01:00.0");
	ck_assert_uint_eq(config.devices[2].iommu, VFIO_IOMMU_TYPE1);
	config_host_options(&config, &options);
	ck_assert_uint_eq(options.max_in_flight, 4);
	ck_assert_uint_eq(options.min_in_flight_ns, 500000);
	ck_assert_uint_eq(options.default_budget_ns, 10000000);
	ck_assert_uint_eq(options.quarantine.session_threshold, 3);
	ck_assert_uint_eq(options.quarantine.tenant_threshold, 7);
	ck_assert_uint_eq(options.quarantine.half_life_ns, 5000000000);
	ck_assert_uint_eq(options.quarantine.minimum_ns, 2000000000);
	ck_assert_int_eq(options.scrub, SCRUB_NONE);
	ck_assert_uint_eq(options.tenants.fallback.maximum[QUOTA_JOBS], 3);
	ck_assert_uint_eq(options.capacity[QUOTA_BUFFER_BYTES], 4096);
	ck_assert_uint_eq(options.capacity[QUOTA_JOB_BYTES], 4097);
	ck_assert_uint_eq(options.capacity[QUOTA_TCB_BYTES], 4098);
	ck_assert_uint_eq(options.capacity[QUOTA_FDS], 5);
	ck_assert_uint_eq(options.capacity[QUOTA_SESSIONS], 14); /* twice the connections */
	ck_assert_uint_eq(options.capacity[QUOTA_BUFFERS], UINT64_MAX);
	ck_assert_uint_eq(options.rights.of[RIGHT_MAPS].users.count, 2);
	ck_assert_uint_eq(options.rights.of[RIGHT_MAPS].users.id[0], 1000);
	ck_assert_uint_eq(options.rights.of[RIGHT_MAPS].users.id[1], 0); /* the name was looked up */
	ck_assert_uint_eq(options.rights.of[RIGHT_MAPS].groups.count, 1);
	ck_assert_uint_eq(options.rights.of[RIGHT_MAPS].groups.id[0], 44);
	ck_assert(options.quirks.create_always);
	ck_assert_uint_eq(options.quirks.gm_offset_shift, 12);
}
END_TEST

/* What is wrong, and how the message begins. */
static const char *const bad[][2] = {
    {"", "line 1"},
    {"[]", "configuration: must be an object"},
    {"{", "line 1"},
    {"{\"devices\": []}", "devices: "},
    {"{\"devices\": {}}", "devices: "},
    {"{}", "devices: "},
    {"{\"devices\": [1]}", "devices[0]: must be an object"},
    {"{\"devices\": [{\"name\": \"a\"}]}", "devices[0].path: missing"},
    {"{\"devices\": [{\"path\": \"/a\"}]}", "devices[0].name: missing"},
    {"{\"devices\": [{\"name\": \"a\", \"path\": \"a\"}]}", "devices[0].path: must be an absolute path"},
    {"{\"devices\": [{\"name\": \"\", \"path\": \"/a\"}]}", "devices[0].name: "},
    {"{\"devices\": [{\"name\": \"a\", \"path\": \"/a\"}, {\"name\": \"a\", \"path\": \"/b\"}]}", "devices[1].name: "},
    {"{\"devices\": [{\"name\": \"a\", \"path\": \"/a\"}, {\"name\": \"b\", \"path\": \"/a\"}]}", "devices[1].path: "},
    {"{\"devices\": [{\"name\": \"a\", \"path\": \"/a\", \"deadline_ms\": 0}]}", "devices[0].deadline_ms: "},
    {"{\"devices\": [{\"name\": \"a\", \"path\": \"/a\", \"transport\": \"pci\"}]}", "devices[0].transport: "},
    {"{\"devices\": [{\"name\": \"a\", \"path\": \"/a\", \"x\": 0}]}", "devices[0].x: unknown key"},
    {"{\"devices\": [{\"name\": \"a\", \"transport\": \"vfio\"}]}", "devices[0].address: missing"},
    {"{\"devices\": [{\"name\": \"a\", \"transport\": \"vfio\", \"address\": \"../x\"}]}",
     "devices[0].address: is not the name"},
    {"{\"devices\": [{\"name\": \"a\", \"transport\": \"vfio\", \"address\": \"0000:01:00.0\", \"path\": \"/a\"}]}",
     "devices[0].path: has no meaning"},
    {"{\"devices\": [{\"name\": \"a\", \"path\": \"/a\", \"address\": \"0000:01:00.0\"}]}",
     "devices[0].address: has no meaning"},
    {"{\"devices\": [{\"name\": \"a\", \"transport\": \"vfio\", \"address\": \"1.npu\", \"deadline_ms\": 7}]}",
     "devices[0].deadline_ms: has no meaning"},
    {"{\"devices\": [{\"name\": \"a\", \"path\": \"/a\", \"iommu\": \"type1\"}]}", "devices[0].iommu: has no meaning"},
    {"{\"devices\": [{\"name\": \"a\", \"transport\": \"vfio\", \"address\": \"1.npu\", \"iommu\": \"no\"}]}",
     "devices[0].iommu: must be one of"},
    {"{\"devices\": [{\"name\": \"a\", \"transport\": \"vfio\", \"address\": \"1.npu\"},"
     "{\"name\": \"b\", \"transport\": \"vfio\", \"address\": \"1.npu\"}]}",
     "devices[1].address: devices[0] has the same address"},
    {"{" DEVICES ", \"x\": 0}", "x: unknown key"},
    {"{" DEVICES ", " DEVICES "}", "line 1"},
    {"{" DEVICES ", \"socket\": {\"mode\": \"660\"}}", "socket.mode: "},
    {"{" DEVICES ", \"socket\": {\"mode\": 432}}", "socket.mode: "},
    {"{" DEVICES ", \"socket\": {\"mode\": \"0680\"}}", "socket.mode: "},
    {"{" DEVICES ", \"socket\": []}", "socket: must be an object"},
    {"{" DEVICES ", \"log\": {\"level\": \"loud\"}}", "log.level: must be one of \"error\", \"warn\""},
    {"{" DEVICES ", \"scheduler\": {\"policy\": \"lottery\"}}", "scheduler.policy: must be one of \"fair\", \"fifo\""},
    {"{" DEVICES ", \"scheduler\": {\"max_in_flight\": 9}}", "scheduler.max_in_flight: "},
    {"{" DEVICES ", \"budget\": {\"default_ms\": 2, \"max_ms\": 1}}", "budget.default_ms: "},
    {"{" DEVICES ", \"quarantine\": {\"half_life_s\": 0}}", "quarantine.half_life_s: "},
    {"{" DEVICES ", \"budget\": {\"max_ms\": 1.5}}", "budget.max_ms: "},
    {"{" DEVICES ", \"budget\": {\"max_ms\": -1}}", "budget.max_ms: "},
    {"{" DEVICES ", \"scrub\": true}", "scrub: must be one of"},
    {"{" DEVICES ", \"limits\": {\"tenant\": {\"buffers\": 0}}}", "limits.tenant.buffers: "},
    {"{" DEVICES ", \"limits\": {\"tenant\": {\"threads\": 1}}}", "limits.tenant.threads: unknown key"},
    {"{" DEVICES ", \"rights\": []}", "rights: must be an object"},
    {"{" DEVICES ", \"rights\": {\"fly\": {}}}", "rights.fly: unknown key"},
    {"{" DEVICES ", \"rights\": {\"maps\": [0]}}", "rights.maps: must be an object"},
    {"{" DEVICES ", \"rights\": {\"maps\": {\"roles\": []}}}", "rights.maps.roles: unknown key"},
    {"{" DEVICES ", \"rights\": {\"maps\": {\"users\": 1000}}}", "rights.maps.users: must be an array of at most 64"},
    {"{" DEVICES ", \"rights\": {\"maps\": {\"users\": [0, \"no one here\"]}}}",
     "rights.maps.users[1]: unknown user \"no one here\""},
    {"{" DEVICES ", \"rights\": {\"maps\": {\"groups\": [\"no one here\"]}}}",
     "rights.maps.groups[0]: unknown group \"no one here\""},
    {"{" DEVICES ", \"rights\": {\"maps\": {\"users\": [\"1000\"]}}}", "rights.maps.users[0]: unknown user \"1000\""},
    {"{" DEVICES ", \"rights\": {\"maps\": {\"users\": [\"\"]}}}", "rights.maps.users[0]: must be a name of"},
    {"{" DEVICES ", \"rights\": {\"maps\": {\"users\": [-1]}}}", "rights.maps.users[0]: must be the name of a user or"},
    {"{" DEVICES ", \"rights\": {\"maps\": {\"users\": [4294967295]}}}", "rights.maps.users[0]: must be the name"},
    {"{" DEVICES ", \"rights\": {\"maps\": {\"groups\": [true]}}}",
     "rights.maps.groups[0]: must be the name of a group"},
    {"{" DEVICES ", \"unknown\": \"ask\"}", "unknown: must be one of \"default\", \"refuse\""},
    {"{" DEVICES ", \"default_tenant\": []}", "default_tenant: must be an object"},
    {"{" DEVICES ", \"default_tenant\": {\"name\": \"x\"}}", "default_tenant.name: unknown key"},
    {"{" DEVICES ", \"default_tenant\": {\"weight\": 0}}", "default_tenant.weight: must be an integer in 1..1000"},
    {"{" DEVICES ", \"default_tenant\": {\"time_permille\": 1001}}", "default_tenant.time_permille: "},
    {"{" DEVICES ", \"default_tenant\": {\"per\": \"group\"}}",
     "default_tenant.per: must be one of \"user\", \"rule\""},
    {"{" DEVICES ", \"default_tenant\": {\"classes\": []}}", "default_tenant.classes: must be an array of 1..32"},
    {"{" DEVICES ", \"default_tenant\": {\"classes\": [\"idle\", \"fast\"]}}",
     "default_tenant.classes[1]: must be one of \"realtime\", \"high\""},
    {"{" DEVICES ", \"default_tenant\": {\"rights\": [\"submit\", 7]}}",
     "default_tenant.rights[1]: must be one of \"submit\""},
    {"{" DEVICES ", \"default_tenant\": {\"rights\": \"submit\"}}", "default_tenant.rights: must be an array of 0..32"},
    {"{" DEVICES ", \"default_tenant\": {\"limits\": {\"jobs\": 0}}}", "default_tenant.limits.jobs: "},
    {"{" DEVICES ", \"tenants\": {}}", "tenants: must be an array of at most 32 tenants"},
    {"{" DEVICES ", \"tenants\": [7]}", "tenants[0]: must be an object"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\"}]}", "tenants[0].match: missing"},
    {"{" DEVICES ", \"tenants\": [{\"match\": {\"users\": [1]}}]}", "tenants[0].name: missing"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"\", \"match\": {\"users\": [1]}}]}",
     "tenants[0].name: must be a text of 1..63"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a b\", \"match\": {\"users\": [1]}}]}",
     "tenants[0].name: must be of letters"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"default\", \"match\": {\"users\": [1]}}]}",
     "tenants[0].name: is the name of default_tenant"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"users\": [1]}},"
     "{\"name\": \"a\", \"match\": {\"users\": [2]}}]}",
     "tenants[1].name: tenants[0] has the same name"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"users\": []}}]}", "tenants[0].match: names nobody"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"roles\": []}}]}",
     "tenants[0].match.roles: unknown key"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"users\": [\"no one here\"]}}]}",
     "tenants[0].match.users[0]: unknown user \"no one here\""},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"groups\": [\"no one here\"]}}]}",
     "tenants[0].match.groups[0]: unknown group \"no one here\""},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"cgroups\": [\"x.service\"]}}]}",
     "tenants[0].match.cgroups[0]: must be the path of a cgroup"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"cgroups\": [\"/a\", \"/a/../b\"]}}]}",
     "tenants[0].match.cgroups[1]: must be the path of a cgroup"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"users\": [1]}, \"wieght\": 1}]}",
     "tenants[0].wieght: unknown key"},
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"users\": [1]}, \"limits\": {\"jobs\": -1}}]}",
     "tenants[0].limits.jobs: "},
    /* the quota is the tenant's: neither a session nor the daemon has one */
    {"{" DEVICES ", \"tenants\": [{\"name\": \"a\", \"match\": {\"users\": [1]}, \"session_limits\": {\"jobs\": 1}}]}",
     "tenants[0].session_limits: unknown key"},
    {"{" DEVICES ", \"default_tenant\": {\"session_limits\": {}}}", "default_tenant.session_limits: unknown key"},
    {"{" DEVICES ", \"limits\": {\"session\": {\"jobs\": 1}}}", "limits.session: unknown key"},
    {"{" DEVICES ", \"limits\": {\"daemon\": {\"jobs\": 1}}}", "limits.daemon: unknown key"},
    {"{" DEVICES ", \"capacity\": {\"jobs\": 1}}", "capacity.jobs: unknown key"},
    {"{" DEVICES ", \"capacity\": {\"fds\": 3}}", "capacity.fds: "},
    {"{" DEVICES ", \"quirks\": {\"create_always\": 1}}", "quirks.create_always: must be true or false"},
    {"{" DEVICES ", \"quirks\": {\"gm_offset_shift\": 3}}", "quirks.gm_offset_shift: "},
    {"{" DEVICES ", \"quirks\": {\"reset_keeps_gm\": 2}}", "quirks.reset_keeps_gm: "},
};

/* Every byte, padding too. */
static bool is_filled(const void *memory, size_t bytes, uint8_t with)
{
	const uint8_t *at = memory;

	for (size_t i = 0; i < bytes; i++)
		if (at[i] != with)
			return false;
	return true;
}

START_TEST(every_error_names_its_path_and_changes_nothing)
{
	struct config config;
	struct config_errors errors;

	memset(&config, 0x5a, sizeof(config));
	ck_assert_int_eq(parse(bad[_i][0], &config, &errors), -EINVAL);
	ck_assert_msg(strncmp(errors.text, bad[_i][1], strlen(bad[_i][1])) == 0, "%s\nis not\n%s", errors.text,
		      bad[_i][1]);
	ck_assert_uint_ge(errors.count, 1);
	ck_assert(is_filled(&config, sizeof(config), 0x5a));
}
END_TEST

START_TEST(nobody_has_a_right_by_default)
{
	struct config config;
	struct config_errors errors;

	ck_assert_int_eq(parse("{" DEVICES "}", &config, &errors), 0);
	for (unsigned right = 0; right < RIGHT_COUNT; right++) {
		ck_assert_uint_eq(config.rights.of[right].users.count, 0);
		ck_assert_uint_eq(config.rights.of[right].groups.count, 0);
	}
}
END_TEST

START_TEST(a_tenant_has_what_it_says_and_the_rest_from_limits)
{
	static const char text[] =
	    "{\"tenants\": [{\"name\": \"batch\", \"match\": {\"users\": [\"root\"], \"groups\": [44],"
	    "\"cgroups\": [\"/system.slice/x.service\", \"/\"]}, \"per\": \"rule\", \"weight\": 50, \"time_permille\": "
	    "500,"
	    "\"classes\": [\"idle\", \"realtime\"], \"rights\": [\"drain\"], \"limits\": {\"jobs\": 7}},"
	    "{\"name\": \"other\", \"match\": {\"users\": [1]}}],"
	    "\"unknown\": \"refuse\", \"default_tenant\": {\"weight\": 3, \"rights\": []},"
	    "\"limits\": {\"tenant\": {\"jobs\": 11, \"buffers\": 13}}," DEVICES "}";
	struct config config;
	struct config_errors errors;
	struct host_options options;

	int error = parse(text, &config, &errors);
	ck_assert_msg(error == 0, "%s", errors.text);
	config_host_options(&config, &options);
	const struct tenant_rules *rules = &options.tenants;
	ck_assert_uint_eq(rules->count, 2);
	const struct tenant_profile *batch = &rules->rule[0].profile, *other = &rules->rule[1].profile;
	ck_assert_str_eq(batch->name, "batch");
	ck_assert_uint_eq(rules->rule[0].match.who.users.id[0], 0);
	ck_assert_uint_eq(rules->rule[0].match.who.groups.id[0], 44);
	ck_assert_uint_eq(rules->rule[0].match.cgroups.count, 2);
	ck_assert_str_eq(rules->rule[0].match.cgroups.path[0], "/system.slice/x.service");
	ck_assert_str_eq(rules->rule[0].match.cgroups.path[1], "/");
	ck_assert_uint_eq(batch->per, TENANT_PER_RULE);
	ck_assert_uint_eq(batch->weight, 50);
	ck_assert_uint_eq(batch->time_permille, 500);
	ck_assert_uint_eq(batch->classes, TENANT_CLASS_BIT(SCHED_IDLE) | TENANT_CLASS_BIT(SCHED_REALTIME));
	ck_assert_uint_eq(batch->rights, RIGHT_BIT(RIGHT_DRAIN));
	ck_assert_uint_eq(batch->maximum[QUOTA_JOBS], 7);
	ck_assert_uint_eq(batch->maximum[QUOTA_BUFFERS], 13);
	ck_assert_uint_eq(other->per, TENANT_PER_USER);
	ck_assert_uint_eq(other->weight, SCHED_DEFAULT_WEIGHT);
	ck_assert_uint_eq(other->time_permille, SCHED_WHOLE);
	ck_assert_uint_eq(other->classes, TENANT_DEFAULT_CLASSES);
	ck_assert_uint_eq(other->rights, TENANT_DEFAULT_RIGHTS);
	ck_assert_uint_eq(other->maximum[QUOTA_JOBS], 11);
	ck_assert_uint_eq(rules->unknown, TENANT_UNKNOWN_REFUSE);
	ck_assert_str_eq(rules->fallback.name, "default");
	ck_assert_uint_eq(rules->fallback.weight, 3);
	ck_assert_uint_eq(rules->fallback.rights, RIGHTS_NONE);
	ck_assert_uint_eq(rules->fallback.maximum[QUOTA_JOBS], 11);
}
END_TEST

START_TEST(there_are_as_many_tenants_as_it_says)
{
	char text[4096] = "{" DEVICES ", \"tenants\": [";
	struct config config;
	struct config_errors errors;
	size_t used = strlen(text);

	for (unsigned i = 0; i < TENANT_MAX_RULES; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s{\"name\": \"t%u\", \"match\": {\"users\": [%u]}}", i ? "," : "", i, i);
	memcpy(text + used, "]}", 3);
	ck_assert_int_eq(parse(text, &config, &errors), 0);
	ck_assert_uint_eq(config.tenants.count, TENANT_MAX_RULES);
	memcpy(text + used, ",{}]}", 6);
	ck_assert_int_eq(parse(text, &config, &errors), -EINVAL);
	ck_assert_str_eq(errors.text, "tenants: must be an array of at most 32 tenants");
}
END_TEST

START_TEST(a_rule_holds_as_many_names_as_it_says)
{
	char text[2048] = "{" DEVICES ", \"rights\": {\"maps\": {\"users\": [0";
	struct config config;
	struct config_errors errors;
	size_t used = strlen(text);

	for (unsigned i = 1; i < RIGHT_MAX_IDS; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, ",%u", i);
	memcpy(text + used, "]}}}", 5);
	ck_assert_int_eq(parse(text, &config, &errors), 0);
	ck_assert_uint_eq(config.rights.of[RIGHT_MAPS].users.id[RIGHT_MAX_IDS - 1], RIGHT_MAX_IDS - 1);
	memcpy(text + used, ",1]}}}", 7);
	ck_assert_int_eq(parse(text, &config, &errors), -EINVAL);
	ck_assert_ptr_nonnull(strstr(errors.text, "rights.maps.users: must be an array"));
}
END_TEST

START_TEST(several_errors_come_at_once)
{
	struct config config;
	struct config_errors errors;

	ck_assert_int_eq(parse("{\"devices\": [{}], \"scrub\": 1, \"x\": 1}", &config, &errors), -EINVAL);
	ck_assert_uint_eq(errors.count, 4);
	ck_assert_ptr_nonnull(strstr(errors.text, "devices[0].name"));
	ck_assert_ptr_nonnull(strstr(errors.text, "\nx: unknown key"));
}
END_TEST

START_TEST(a_flood_of_errors_stays_inside_its_buffer)
{
	static char text[65536] = "{";
	struct config config;
	struct config_errors errors;
	size_t used = 1;

	for (int i = 0; i < 2000; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "\"key%d\": 0,", i);
	memcpy(text + used, DEVICES "}", sizeof(DEVICES "}"));
	ck_assert_int_eq(parse(text, &config, &errors), -EINVAL);
	ck_assert_uint_eq(errors.count, 2000);
	ck_assert_uint_lt(strlen(errors.text), sizeof(errors.text));
}
END_TEST

START_TEST(a_missing_file_is_an_error)
{
	struct config config;
	struct config_errors errors;

	ck_assert_int_eq(config_load("/nonexistent/npud.json", &config, &errors), -ENOENT);
	ck_assert_ptr_nonnull(strstr(errors.text, "/nonexistent/npud.json: "));
	ck_assert_int_lt(config_load("/", &config, &errors), 0);
	ck_assert_int_eq(config_load("/dev/zero", &config, &errors), -EFBIG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_test(tcase, the_shipped_configuration_is_valid_and_is_the_default);
	tcase_add_test(tcase, every_key_reaches_its_place);
	tcase_add_loop_test(tcase, every_error_names_its_path_and_changes_nothing, 0,
			    (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(tcase, nobody_has_a_right_by_default);
	tcase_add_test(tcase, a_tenant_has_what_it_says_and_the_rest_from_limits);
	tcase_add_test(tcase, there_are_as_many_tenants_as_it_says);
	tcase_add_test(tcase, a_rule_holds_as_many_names_as_it_says);
	tcase_add_test(tcase, several_errors_come_at_once);
	tcase_add_test(tcase, a_flood_of_errors_stays_inside_its_buffer);
	tcase_add_test(tcase, a_missing_file_is_an_error);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
