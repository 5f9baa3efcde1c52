//! The services of rosbag2's player, below the node's name.

use graph::{Setup, SetupError, Time};
use msgs::rosbag2_interfaces::srv::{
    Burst, BurstResponse, GetRate, GetRateResponse, IsPaused, IsPausedResponse, Pause, PauseResponse, PlayNext, PlayNextResponse,
    Resume, ResumeResponse, Seek, SeekResponse, SetRate, SetRateResponse, Stop, StopResponse, TogglePaused, TogglePausedResponse,
};

use crate::node::Player;

/// Declares them. rosbag2_transport, `player.cpp`: `~/pause`, `~/resume`, ...
pub(crate) fn declare(s: &mut Setup<Player>) -> Result<(), SetupError> {
    s.service::<Pause>("~/pause", |node: &mut Player, ctx, _| {
        node.set_paused(ctx, Some(true));
        Ok(PauseResponse::default())
    })?;
    s.service::<Resume>("~/resume", |node: &mut Player, ctx, _| {
        node.set_paused(ctx, Some(false));
        Ok(ResumeResponse::default())
    })?;
    s.service::<TogglePaused>("~/toggle_paused", |node: &mut Player, ctx, _| {
        node.set_paused(ctx, None);
        Ok(TogglePausedResponse::default())
    })?;
    s.service::<IsPaused>("~/is_paused", |node: &mut Player, _, _| Ok(IsPausedResponse { paused: node.timeline().is_paused() }))?;
    s.service::<GetRate>("~/get_rate", |node: &mut Player, _, _| Ok(GetRateResponse { rate: node.timeline().rate() }))?;
    s.service::<SetRate>("~/set_rate", |node: &mut Player, ctx, request| {
        Ok(SetRateResponse { success: node.set_rate(ctx, request.rate) })
    })?;
    s.service::<PlayNext>("~/play_next", |node: &mut Player, ctx, _| Ok(PlayNextResponse { success: node.play_next(ctx)? }))?;
    s.service::<Burst>("~/burst", |node: &mut Player, ctx, request| {
        Ok(BurstResponse { actually_burst: node.burst(ctx, request.num_messages)? })
    })?;
    s.service::<Seek>("~/seek", |node: &mut Player, ctx, request| {
        let to = Time::from_msg(&request.time).as_nanos();
        Ok(SeekResponse { success: node.seek(ctx, to) })
    })?;
    s.service::<Stop>("~/stop", |node: &mut Player, ctx, _| {
        node.finish(ctx, "stopped by service");
        Ok(StopResponse::default())
    })
}
