//! Client and walks of MISP's REST API: the Source.
