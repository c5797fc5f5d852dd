// What clients read, as JSON documents.
#pragma once

#include <string>
#include <vector>

#include "cgroups/facts.hpp"
#include "config/host.hpp"
#include "image/store.hpp"
#include "sandbox/plan.hpp"
#include "supervisor/control/service.hpp"
#include "supervisor/core/state.hpp"
#include "supervisor/executor.hpp"
#include "supervisor/id_map.hpp"

namespace orlop::supervisor {

/// A shell's exit code: the exit status, or 128 and the signal's number.
int exit_code_of(const core::ExitStatus& exit);

/// `damage`: why the instance changes nothing; empty when all is well.
std::string status_json(const control::SupervisorView& view, const std::vector<control::ContainerView>& containers,
                        const std::string& damage);

struct Inspected {
  std::string name;
  const core::Container& container;
  const config::Container* wanted;  ///< nullptr: it is being removed
  const Live* live;                 ///< nullptr: nothing of it runs
  std::uint32_t first_id = 0;
  const sandbox::KernelFeatures& kernel;
  const cgroups::Facts& cgroups;
};
std::string inspect_json(const Inspected& inspected);

std::string images_json(const image::Listing& listing, const config::Host& host);
std::string volumes_json(const std::vector<std::string>& names, const config::Host& host, const IdMap& ids,
                         const std::string& state);
std::string volume_json(const std::string& name, const config::Host& host, const IdMap& ids, const std::string& state);

}  // namespace orlop::supervisor
