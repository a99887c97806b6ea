//! One change of what is guarded: devices, rules, addresses, routes. All of it, or none.

mod devices;
mod steer;

use std::{collections::BTreeSet, net::Ipv4Addr};

use arpguard_common::{
    abi::{Claim, Key},
    policy::{Tables, View},
    verdict::{Mode as Carry, Policy},
};
use ipnet::Ipv4Net;

use crate::{
    datapath::{
        Attached, Change, Checks, Datapath, Ingress, Known, Mode, Place, Reader, Store, Writer,
    },
    device::Device,
    error::{Error, Result},
    host::Host,
    interrupt,
    netlink::Netlink,
    plan::{self, Plan, Rules, State},
    policy,
    progress::Progress,
    routing::{self, Routing},
    vip,
};

/// A change under way. While it lasts no other process writes.
pub struct Session {
    /// The host, as it was when the change began.
    pub host: Host,
    netlink: Netlink,
    writer: Writer,
    was_loaded: bool,
    done: Vec<Done>,
}

/// What was done or begun, with what it takes to undo it.
enum Done {
    /// What was attached to a device before.
    Attached(Device, Attached),
    Committed(Vec<Change>),
    AddressAdded(u32, Ipv4Addr),
    AddressRemoved(u32, Ipv4Addr),
    Steered(Routing),
    /// Claims that are forgotten.
    Forgotten(Vec<(Key, Claim)>),
    /// The checks of before.
    Checked(Checks),
}

impl Session {
    /// Waits for other writers, looks at the host, and puts this binary's programs in place of
    /// another build's.
    ///
    /// # Errors
    /// Where the state cannot be locked, the host not be read, or the kernel refuses the programs.
    pub async fn begin(store: &Store, netlink: &Netlink) -> Result<Self> {
        Self::with(Writer::lock(store).await?, netlink).await
    }

    /// As [`Self::begin`], of who has waited for other writers already.
    ///
    /// # Errors
    /// Where the host cannot be read, or the kernel refuses the programs.
    pub async fn with(writer: Writer, netlink: &Netlink) -> Result<Self> {
        let mut session = Self::over(writer, netlink).await?;
        if let Some(datapath) = session.writer.datapath_mut()
            && datapath.upgrade(netlink, &session.host.devices).await?
        {
            session.host = Host::observe(netlink).await?;
        }
        Ok(session)
    }

    /// As [`Self::begin`], for a session that removes everything: with the programs as they are.
    ///
    /// # Errors
    /// Where the state cannot be locked or the host not be read.
    pub async fn begin_removal(store: &Store, netlink: &Netlink) -> Result<Self> {
        Self::over(Writer::lock_to_remove(store).await?, netlink).await
    }

    async fn over(mut writer: Writer, netlink: &Netlink) -> Result<Self> {
        let mut host = Host::observe(netlink).await?;
        if writer.has_former() {
            let known = |datapath: &Datapath, device: &Device| known(datapath, device, |_| false);
            writer.bring_over(netlink, &host.devices, known).await?;
            host = Host::observe(netlink).await?;
        }
        let was_loaded = writer.datapath().is_some();
        Ok(Self {
            host,
            netlink: netlink.clone(),
            writer,
            was_loaded,
            done: Vec::new(),
        })
    }

    /// What is loaded; `None` where nothing is.
    pub fn datapath(&self) -> Option<&Datapath> {
        self.writer.datapath()
    }

    /// What is in force.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub async fn state(&self) -> Result<State> {
        state(self.datapath(), &self.host, &self.netlink).await
    }

    /// Does what a plan says: programs are attached before rules are written, and detached after
    /// rules are removed.
    ///
    /// # Errors
    /// Where one of the devices has no hook to give, a table is full, or the user has interrupted.
    pub async fn carry_out(&mut self, plan: &Plan) -> Result<()> {
        if plan.is_empty() {
            // Addresses may have changed where no rule has, and devices may be gone.
            return self.follow().await;
        }
        self.guard(plan).await?;
        if !plan.terms.is_empty() {
            self.writer.loaded()?.agree(&plan.terms)?;
        }
        if !plan.checks.is_empty() {
            let datapath = self.writer.loaded()?;
            self.done.push(Done::Checked(datapath.maps.checks()?));
            datapath.check(&plan.checks)?;
        }
        // Replies leave by a device before it is known to have their address.
        self.steer(&plan.changes).await?;
        self.commit(&plan.changes)?;
        self.forget_checks()?;
        self.refresh()?;
        self.leave(plan).await
    }

    /// Forgets the checks that no rule is under any more.
    fn forget_checks(&mut self) -> Result<()> {
        let Some(datapath) = self.writer.datapath_mut() else {
            return Ok(());
        };
        self.done.push(Done::Checked(datapath.maps.checks()?));
        datapath.forget_checks()
    }

    /// Writes rules.
    ///
    /// # Errors
    /// Where a table is full, or the user has interrupted.
    pub fn commit(&mut self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.forget_unheeded(changes)?;
        let mut progress = Progress::new(changes.len());
        let undo = self.writer.loaded()?.commit(changes, &mut |done| {
            progress.update(done);
            interrupt::check()
        })?;
        self.done.push(Done::Committed(undo));
        Ok(())
    }

    /// Tells the programs anew what addresses the guarded devices have that are not hidden.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn refresh(&mut self) -> Result<()> {
        let Some(datapath) = self.writer.datapath_mut() else {
            return Ok(());
        };
        let mut present = Vec::new();
        for index in datapath.maps.known_devices()? {
            match self.host.by_index(index) {
                Some(device) if device.is_readable() => {
                    present.push(known(datapath, device, |_| false)?);
                }
                // The programs go on with what they know of it.
                Some(_) => {}
                None => datapath.forget(index)?,
            }
        }
        datapath.know(&present)?;
        let own = self.host.devices.iter();
        let stations = own.filter_map(|device| Some((device.mac?, device.index)));
        datapath.know_stations(&stations.collect())
    }

    /// Forgets what was heard while there was no rule, or another one, of what is about to be answered
    /// for: who had it then need not have it now.
    fn forget_unheeded(&mut self, changes: &[Change]) -> Result<()> {
        let datapath = self.datapath();
        let at = |place| datapath?.maps.rule(place);
        let is_new = |change: &&Change| {
            let rule = change.rule.filter(|rule| rule.policy() == Policy::Answer);
            rule.is_some() && at(change.place) != rule
        };
        let places = changes.iter().filter(is_new).map(|change| change.place);
        let places: Vec<_> = places.collect();
        self.forget_claims(places.into_iter())
    }

    /// Forgets who has claimed the addresses of these places on their devices.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn forget_claims(&mut self, places: impl Iterator<Item = Place>) -> Result<()> {
        let places: BTreeSet<_> = places.map(|place| (place.device, place.prefix)).collect();
        let Some(datapath) = self.writer.datapath_mut().filter(|_| !places.is_empty()) else {
            return Ok(());
        };
        let is_one = |key: Key| {
            let is_one = |prefix| places.contains(&(key.device(), prefix));
            policy::longest_match(key.address.into(), is_one).is_some()
        };
        let mut claims = datapath.maps.claims()?;
        claims.retain(|(key, _)| is_one(*key));
        self.done.push(Done::Forgotten(claims.clone()));
        for (key, _) in claims {
            datapath.maps.forget_claim(key)?;
        }
        Ok(())
    }

    /// Puts an address on a device, unless it is there.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn add_address(&mut self, device: &Device, address: Ipv4Addr) -> Result<()> {
        interrupt::check()?;
        if vip::add(&self.netlink, device, address).await? {
            self.done.push(Done::AddressAdded(device.index, address));
        }
        Ok(())
    }

    /// Takes an address from a device, if it is there.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn remove_address(&mut self, device: &Device, address: Ipv4Addr) -> Result<()> {
        interrupt::check()?;
        if vip::remove(&self.netlink, device, address).await? {
            self.done.push(Done::AddressRemoved(device.index, address));
        }
        Ok(())
    }

    /// Removes everything of arpguard's from the kernel.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn remove_all(&mut self) -> Result<()> {
        let now = routing::observe(&self.netlink).await?.ours;
        routing::change(&self.netlink, &now, &Routing::default()).await?;
        let devices = &self.host.devices;
        let mut progress = Progress::of_devices(devices.len());
        let step = &mut || progress.step();
        self.writer.remove(&self.netlink, devices, step).await
    }

    /// Keeps what was done so far, whatever comes.
    pub fn keep(&mut self) {
        self.done.clear();
        self.was_loaded = self.writer.datapath().is_some();
    }

    /// Ends the change: keeps it where it went well, else undoes it in reverse.
    ///
    /// # Errors
    /// The one that `outcome` has, with what could not be undone, if anything.
    pub async fn end(mut self, outcome: Result<()>) -> Result<()> {
        let Err(error) = outcome else {
            return Ok(());
        };
        match self.undo().await {
            Ok(()) => Err(error),
            Err(second) => Err(error.advise(format!("undoing what was done failed too: {second}"))),
        }
    }

    async fn undo(&mut self) -> Result<()> {
        while let Some(done) = self.done.pop() {
            match done {
                Done::AddressAdded(device, address) => {
                    if let Some(device) = self.host.by_index(device) {
                        vip::remove(&self.netlink, device, address).await?;
                    }
                }
                Done::AddressRemoved(device, address) => {
                    if let Some(device) = self.host.by_index(device) {
                        vip::add(&self.netlink, device, address).await?;
                    }
                }
                Done::Checked(before) => self.writer.loaded()?.check(&before)?,
                Done::Forgotten(claims) => self.writer.loaded()?.note_claims(&claims)?,
                Done::Steered(before) => {
                    let now = routing::observe(&self.netlink).await?.ours;
                    routing::change(&self.netlink, &now, &before).await?;
                }
                Done::Committed(changes) => {
                    self.writer.loaded()?.commit(&changes, &mut |_| Ok(()))?;
                }
                Done::Attached(device, before) => {
                    self.restore(&device, &before).await?;
                }
            }
        }
        if self.was_loaded {
            // Only now are all rules as they were.
            if let Some(datapath) = self.writer.datapath_mut() {
                datapath.forget_checks()?;
            }
            self.refresh()
        } else {
            self.remove_all().await
        }
    }

    async fn restore(&mut self, device: &Device, before: &Attached) -> Result<()> {
        let device = Host::observe(&self.netlink)
            .await?
            .by_index(device.index)
            .cloned();
        let (Some(device), Some(datapath)) = (device, self.writer.datapath_mut()) else {
            return Ok(());
        };
        let mode = match before.ingress {
            None => return datapath.detach(&self.netlink, &device).await,
            Some(Ingress::Native) => Mode::Native,
            Some(Ingress::Generic) => Mode::Generic,
            Some(Ingress::Tcx | Ingress::Clsact) => Mode::Tc,
        };
        let known = known(datapath, &device, |_| false)?;
        let now = datapath.attached(&self.netlink, &device).await?;
        datapath
            .guard(&self.netlink, &device, known, mode, &now)
            .await?;
        datapath.set_note_text(&device, &before.note)
    }
}

/// Opens what is loaded, to read it, after taking over what an older version has left. Who looks at
/// the host, too, does so afterwards, since that attaches other programs.
///
/// # Errors
/// Where it cannot be read, or the kernel refuses this version's programs.
pub async fn open(store: &Store, netlink: &Netlink) -> Result<Reader> {
    if store.has_former() {
        Session::begin(store, netlink).await?.end(Ok(())).await?;
    }
    Reader::open(store).await
}

/// What is in force: the rules and devices of `datapath`, of which there is none where nothing is
/// loaded.
///
/// # Errors
/// Where the kernel does not tell.
pub async fn state(datapath: Option<&Datapath>, host: &Host, netlink: &Netlink) -> Result<State> {
    let Some(datapath) = datapath else {
        return Ok(State::default());
    };
    let rules = Rules::read(datapath.maps.rules())?;
    let terms = datapath.maps.terms()?;
    let checks = datapath.maps.checks()?;
    let mut devices = Vec::new();
    for index in datapath.maps.known_devices()? {
        if let Some(device) = host.by_index(index)
            && device.is_readable()
        {
            let attached = datapath.attached(netlink, device).await?;
            devices.push((device.clone(), attached));
        }
    }
    devices.sort_by_key(|(device, _)| device.index);
    Ok(State {
        rules,
        terms,
        checks,
        devices,
    })
}

/// What the programs are to know of `device`: of its addresses not those that are hidden on it, or
/// about to be.
fn known(
    datapath: &Datapath,
    device: &Device,
    about_to_be: impl Fn(Ipv4Addr) -> bool,
) -> Result<Known> {
    let view = View::new(&datapath.maps, device.index);
    let hidden = |address| is_kept_out(&view, address) || about_to_be(address);
    let mac = device.mac.ok_or_else(|| {
        let why = match &device.unguardable {
            Some(reason) => reason.to_string(),
            None => "it has no Ethernet hardware address".to_owned(),
        };
        Error::new("guard", &device.name, why)
    })?;
    Ok(Known {
        device: device.index,
        mac,
        local: plan::local(device, hidden),
    })
}

/// Whether an address is hidden on a device. What is only counted changes nothing.
fn is_kept_out(view: &View<'_, impl Tables>, address: Ipv4Addr) -> bool {
    view.hidden_by(address)
        .is_some_and(|rule| rule.mode() == Carry::Enforce)
}

/// An address that a command gives for a device, which must be a single one.
///
/// # Errors
/// Of usage: where it is a prefix.
pub fn single(tried: &str, prefix: Ipv4Net) -> Result<Ipv4Addr> {
    if prefix.prefix_len() == 32 {
        Ok(prefix.addr())
    } else {
        Err(Error::new(
            tried,
            prefix,
            "only a single address can be put on a device",
        )
        .usage())
    }
}
