//! The typed builder of flux-io: flows, fused segments, validation, planning, drawings.
