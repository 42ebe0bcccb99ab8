#include "services/build/clients/config_conversion.h"

#include <string>
#include <vector>

namespace slipway::build {
namespace {

using Repeated = google::protobuf::RepeatedPtrField<std::string>;

std::vector<std::string> List(const Repeated& from) { return {from.begin(), from.end()}; }
void Put(const std::vector<std::string>& from, Repeated* to) { to->Add(from.begin(), from.end()); }

}  // namespace

ImageConfig ConfigFromMessage(const image::v1::ImageConfig& message) {
  ImageConfig config;
  config.user = message.user();
  config.exposed_ports = List(message.exposed_ports());
  config.env = List(message.env());
  config.entrypoint = List(message.entrypoint());
  config.command = List(message.command());
  config.volumes = List(message.volumes());
  config.working_directory = message.working_directory();
  for (const auto& [name, value] : message.labels()) config.labels[name] = value;
  config.stop_signal = message.stop_signal();
  config.shell = List(message.shell());
  config.on_build = List(message.on_build());
  if (message.has_healthcheck()) {
    const auto& from = message.healthcheck();
    config.healthcheck = Healthcheck{.test = List(from.test()),
                                     .interval_ns = from.interval_ns(),
                                     .timeout_ns = from.timeout_ns(),
                                     .start_period_ns = from.start_period_ns(),
                                     .start_interval_ns = from.start_interval_ns(),
                                     .retries = from.retries()};
  }
  return config;
}

void ConfigToMessage(const ImageConfig& config, image::v1::ImageConfig& message) {
  message.set_user(config.user);
  Put(config.exposed_ports, message.mutable_exposed_ports());
  Put(config.env, message.mutable_env());
  Put(config.entrypoint, message.mutable_entrypoint());
  Put(config.command, message.mutable_command());
  Put(config.volumes, message.mutable_volumes());
  message.set_working_directory(config.working_directory);
  for (const auto& [name, value] : config.labels) (*message.mutable_labels())[name] = value;
  message.set_stop_signal(config.stop_signal);
  Put(config.shell, message.mutable_shell());
  Put(config.on_build, message.mutable_on_build());
  if (config.healthcheck.has_value()) {
    image::v1::Healthcheck& to = *message.mutable_healthcheck();
    Put(config.healthcheck->test, to.mutable_test());
    to.set_interval_ns(config.healthcheck->interval_ns);
    to.set_timeout_ns(config.healthcheck->timeout_ns);
    to.set_start_period_ns(config.healthcheck->start_period_ns);
    to.set_start_interval_ns(config.healthcheck->start_interval_ns);
    to.set_retries(config.healthcheck->retries);
  }
}

}  // namespace slipway::build
