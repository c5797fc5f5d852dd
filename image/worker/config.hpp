// The image config: what the image says about running it. A pure reader; refuses what could be taken two ways (T48).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "image/record.hpp"

namespace orlop::image {

struct Config {
  std::vector<Sha256> diff_ids;  ///< of the unpacked layers, lowest first
  std::string user;              ///< as written; see resolve_user()
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> env;
  std::string workdir = "/";
  int stop_signal = 0;
  std::vector<std::string> volumes;
  std::vector<std::string> exposed_ports;
  std::map<std::string, std::string> labels;
  std::optional<Healthcheck> healthcheck;

  friend bool operator==(const Config&, const Config&) = default;
};

/// Reads an image config (OCI image spec, "Image Configuration", and Docker's Healthcheck). unsupported/… for another
/// operating system or architecture; corrupt/… naming the key for what is malformed or ambiguous.
Result<Config> parse_config(std::string_view text);

/// The number of a signal as Docker writes it: "SIGTERM", "TERM", "15", "SIGRTMIN+3". Nothing if it is none.
std::optional<int> parse_signal(std::string_view written);

}  // namespace orlop::image
