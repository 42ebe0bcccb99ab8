#include "gateway/docker/stats_json.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <string>

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace pb = slipway::agent::v1;

// As dockerd 20.10 answers for a container that does not run.
TEST(StatsJsonTest, NothingRuns) {
  pb::ContainerStats stats;
  stats.set_container_id("abc");
  stats.set_read_unix_ns(5);
  const std::string cpu =
      R"({"cpu_usage":{"total_usage":0,"usage_in_kernelmode":0,"usage_in_usermode":0},)"
      R"("throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}})";
  EXPECT_EQ(json::serialize(StatsToJson(stats, "web")),
            R"({"read":"0001-01-01T00:00:00Z","preread":"0001-01-01T00:00:00Z","pids_stats":{},)"
            R"("blkio_stats":{"io_service_bytes_recursive":null,"io_serviced_recursive":null,)"
            R"("io_queue_recursive":null,"io_service_time_recursive":null,)"
            R"("io_wait_time_recursive":null,"io_merged_recursive":null,"io_time_recursive":null,)"
            R"("sectors_recursive":null},"num_procs":0,"storage_stats":{},"cpu_stats":)" +
                cpu + R"(,"precpu_stats":)" + cpu +
                R"(,"memory_stats":{},"name":"/web","id":"abc"})");
}

TEST(StatsJsonTest, ASampleHasWhatTheKernelCounts) {
  pb::ContainerStats stats;
  stats.set_running(true);
  stats.set_read_unix_ns(1'000'000'000);
  stats.set_cgroup_version("1");
  stats.mutable_cpu()->set_total_ns(7);
  stats.mutable_cpu()->set_system_ns(90);
  stats.mutable_cpu()->set_online_cpus(2);
  stats.mutable_previous_cpu()->set_system_ns(80);
  stats.mutable_memory()->set_limit_bytes(64);
  pb::NamedCounter* field = stats.mutable_memory()->add_fields();
  field->set_name("cache");
  field->set_value(3);
  stats.set_pids_current(1);
  stats.set_pids_limit(10);
  pb::BlockIoTable* table = stats.add_block_io();
  table->set_name("io_serviced_recursive");
  table->add_entries()->set_operation("Read");
  stats.add_interfaces()->set_name("eth0");
  stats.mutable_interfaces(0)->set_sent_bytes(11);
  const json::object out = StatsToJson(stats, "web");
  EXPECT_EQ(out.at("cpu_stats").at("system_cpu_usage"), 90u);
  EXPECT_EQ(out.at("precpu_stats").at("system_cpu_usage"), 80u);
  EXPECT_EQ(json::serialize(out.at("memory_stats")),
            R"({"usage":0,"max_usage":0,"stats":{"cache":3},"limit":64})");
  EXPECT_EQ(json::serialize(out.at("pids_stats")), R"({"current":1,"limit":10})");
  EXPECT_EQ(out.at("blkio_stats").at("io_serviced_recursive").as_array().size(), 1u);
  EXPECT_TRUE(out.at("blkio_stats").at("sectors_recursive").as_array().empty());
  EXPECT_EQ(out.at("networks").at("eth0").at("tx_bytes"), 11u);
}

}  // namespace
}  // namespace slipway::gateway
